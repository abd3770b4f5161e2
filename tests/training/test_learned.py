"""What the multichannel Wiener filter does behind each learned method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import songs
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from sepbench.cli.main import main
from sepbench.dsp.mid_side import mid_and_side
from sepbench.errors import MethodError
from sepbench.inference import runner
from sepbench.stems import with_sums
from sepbench.training import learned_mask
from sepbench.training.build import trainable_of
from sepbench.training.learned import Learned
from sepbench.training.learned_mask import LearnedMask
from sepbench.weights import container
from sepbench_plugins.blstm import BLSTM
from sepbench_plugins.cdae import Cdae
from sepbench_plugins.mask_cnn import MaskCnn
from sepbench_plugins.unet import UNet
from sepbench_plugins.unet.model import UNetTrainable

CPU = torch.device("cpu")
RATE = 8000
METHODS = [BLSTM, Cdae, MaskCnn, UNet]
MODEL = {"architecture": "compact", "rate": RATE, "n_fft": 64, "hop": 32, "widths": [2, 2],
         "bottleneck": 4, "dilations": [1, 2]}  # fmt: skip

each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


def made(separator: Learned, mixture: np.ndarray, rate: int = RATE) -> dict[str, np.ndarray]:
    return runner.separate(separator, mixture, rate=rate, device=CPU).stems


def loaded(method: type[Learned], **options: object) -> Learned:
    separator = method(method.Options(**options))
    separator.load(CPU)
    return separator


def noise(*shape: int) -> np.ndarray:
    return 0.1 * songs.noise(*shape).numpy()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of small size that was drawn, not trained."""
    return small_network(tmp_path_factory.mktemp("weights") / "small.safetensors", {})


def small_network(file: Path, changes: dict[str, object], context: float = 0.5) -> Path:
    model: dict[str, Any] = {**MODEL, **changes}
    header = {"method": "unet", "model": model, "context": context, "trained_on": ["nothing"]}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        container.save(file, UNetTrainable(model).network().state_dict(), header)
    return file


@pytest.mark.slow
@each_method
def test_songs_in_stereo_are_filtered_and_mono_ones_stay_to_the_bit(method: type[Learned]) -> None:
    usual, plain = loaded(method), loaded(method, wiener=0)
    assert usual.stereo_filter.iterations == 1
    stereo = noise(2, 16_000)
    after, before = made(usual, stereo, 16_000), made(plain, stereo, 16_000)
    assert all(np.abs(after[stem] - before[stem]).max() > 1e-4 for stem in before)
    for mono in (stereo[:1], stereo[[0, 0]]):
        after, before = made(usual, mono, 16_000), made(plain, mono, 16_000)
        assert all(np.array_equal(after[stem], before[stem]) for stem in before)


@pytest.mark.slow
@each_method
@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_the_stems_sum_to_the_mixture(method: type[Learned], iterations: int) -> None:
    separator, mixture = loaded(method, wiener=iterations), noise(2, 48_000)
    stems = with_sums(made(separator, mixture, separator.sample_rate or 0))
    # The masks of cdae, E^2 / (sum of E^2 + 1e-7), add up to less than 1 where all E are small.
    assert np.abs(stems["vocals"] + stems["accompaniment"] - mixture).max() < 2e-3


@pytest.mark.slow
@each_method
def test_silence_stays_silence_and_a_silent_channel_too(method: type[Learned]) -> None:
    separator = loaded(method)
    mixture = np.zeros((2, 16_000), np.float32)
    assert not any(stem.any() for stem in made(separator, mixture, 16_000).values())
    mixture[1] = noise(16_000)
    for stem in made(separator, mixture, 16_000).values():
        assert np.abs(stem[0]).max() < 1e-6
        assert np.abs(stem[1]).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [1, 2])
def test_blocks_are_the_whole_song(
    small: Path, iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sepbench.dsp.wiener._AROUND", 1.5)
    separator = loaded(UNet, weights=str(small), full_band=False, wiener=iterations)
    song = noise(2, 30 * RATE)
    whole = made(separator, song)["vocals"]
    monkeypatch.setattr("sepbench.inference.overlap_add.BLOCK_SECONDS", 1.0)
    assert np.abs(made(separator, song)["vocals"] - whole).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "context"),
    [({"hop": 20}, 0.5), ({"hop": 512, "n_fft": 1024, "widths": [2, 2, 2, 2]}, 12.5)],
    ids=["hop", "frames of the coarsest level"],
)
def test_blocks_are_the_whole_song_where_they_do_not_divide_the_grid(
    tmp_path: Path, changes: dict[str, object], context: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = small_network(tmp_path / "odd.safetensors", changes, context)
    separator = loaded(UNet, weights=str(file), full_band=False)
    assert UNet(separator.options).block_alignment == separator.block_alignment
    song = noise(2, 40 * RATE)
    whole = made(separator, song)["vocals"]
    monkeypatch.setattr("sepbench.inference.overlap_add.BLOCK_SECONDS", 1.0)
    assert np.abs(made(separator, song)["vocals"] - whole).max() < 1e-6


def test_mid_and_side_are_separated_as_if_each_were_a_song(small: Path) -> None:
    separator = loaded(UNet, weights=str(small), full_band=False)
    song = torch.from_numpy(noise(2, 2 * RATE))
    found = separator.separate(song)["vocals"]
    mid, side = (separator.separate(one[None])["vocals"] for one in mid_and_side(song))
    assert torch.allclose(found, torch.cat([mid + side, mid - side]), atol=1e-6)
    # So a song with its channels exchanged has the same stems, exchanged.
    assert torch.allclose(separator.separate(song.flip(0))["vocals"], found.flip(0), atol=1e-6)


def test_an_octave_lower_is_the_same_samples_at_twice_the_rate(small: Path) -> None:
    usual, lower = (
        loaded(UNet, weights=str(small), full_band=False, semitones=semitones)
        for semitones in (0, -12)
    )
    assert (usual.sample_rate, lower.sample_rate) == (RATE, 2 * RATE)
    assert (usual.context, lower.context) == (0.5, 0.25)
    samples = noise(1, 2 * RATE)
    at_rate, at_twice = made(usual, samples), made(lower, samples, 2 * RATE)
    assert np.array_equal(at_rate["vocals"], at_twice["vocals"])


@pytest.mark.parametrize("full_band", [True, False], ids=["full band", "trained band"])
def test_stems_of_a_song_heard_transposed_keep_its_pitch_and_length(
    small: Path, full_band: bool
) -> None:
    tone = songs.tone(440.0, 2.0, RATE)
    lower = loaded(UNet, weights=str(small), full_band=full_band, semitones=-1)
    stems = made(lower, tone)
    spectrum = np.abs(np.fft.rfft(stems["vocals"][0]))
    assert spectrum.argmax() == 880  # Bins of half a hertz.
    assert np.abs(stems["vocals"] + stems["accompaniment"] - tone).max() < 1e-6


def test_the_same_song_gives_the_same_stems(small: Path) -> None:
    song = noise(2, 2 * RATE)
    once, again = (made(loaded(UNet, weights=str(small)), song) for _ in range(2))
    assert all(np.array_equal(once[stem], again[stem]) for stem in once)


def test_only_masks_of_least_error_are_filtered_and_of_mid_and_side_unasked(tmp_path: Path) -> None:
    for objective, iterations in (("energy", 1), ("magnitude", 0), ("labels", 0)):
        file = small_network(tmp_path / f"{objective}.safetensors", {"objective": objective})
        separator = UNet(UNet.Options(weights=str(file)))
        assert separator.stereo_filter.iterations == iterations
        assert separator.takes_mid_and_side == bool(iterations)
        asked = UNet(UNet.Options(weights=str(file), stereo="mid-side"))
        assert asked.takes_mid_and_side
        assert UNet(UNet.Options(weights=str(file), wiener=2)).stereo_filter.iterations == 2
    assert MaskCnn(MaskCnn.Options(mask="hard")).stereo_filter.iterations == 0
    assert MaskCnn(MaskCnn.Options(gate=0.1)).stereo_filter.iterations == 0
    assert Cdae(Cdae.Options(single_model=True)).stereo_filter.iterations == 0


@pytest.mark.parametrize("full_band", [True, False], ids=["full band", "trained band"])
def test_a_song_masked_a_few_frames_at_a_time_is_that_masked_whole(
    small: Path, full_band: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    separator = loaded(UNet, weights=str(small), full_band=full_band, wiener=0)
    mixture = torch.from_numpy(noise(2, 5000))
    whole = separator.separate(mixture)["vocals"]
    monkeypatch.setattr(learned_mask, "_AT_ONCE", 7)
    parts = separator.separate(mixture)["vocals"]
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-6)
    assert whole.square().mean() > 1e-5


def test_the_layers_of_included_weights_are_shown() -> None:
    shown = CliRunner().invoke(main, ["methods", "unet", "--layers"])
    assert shown.exit_code == 0, shown.output
    assert "CompactUNet" in shown.output
    tensors = load_file(UNet.folder / "weights" / "default.safetensors")
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    count = sum(t.numel() for name, t in tensors.items() if not name.endswith(statistics))
    assert f"Total params: {count:,}" in shown.output
    assert "GIGABYTES" not in shown.output
    none = CliRunner().invoke(main, ["methods", "hpss", "--layers"])
    assert none.exit_code == 2
    assert "has no network trained with 'sepbench train'" in none.output


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("sepbench_plugins.unet.model:Missing", "has no attribute 'Missing'"),
        ("no_such_package.model:Model", "No module named 'no_such_package'"),
    ],
)
def test_a_model_that_cannot_be_imported_is_one_line(where: str, reason: str) -> None:
    class Misspelt(UNet):
        trainable = where

    with pytest.raises(MethodError, match=rf"^method unet: its trainable '{where}' .*{reason}$"):
        Misspelt().layers()
    with pytest.raises(MethodError, match=reason):
        trainable_of(Misspelt, {}, "default")


def test_a_network_without_model_says_what_to_declare() -> None:
    class Bare(LearnedMask):
        name = "bare"

    with pytest.raises(MethodError, match=r"^method bare: declares no trainable; set it to"):
        trainable_of(Bare, {}, "default")
