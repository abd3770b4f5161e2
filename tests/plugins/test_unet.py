from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from songs import noise, repeating_song, sdr
from torch import nn

from sepbench.errors import SepbenchError
from sepbench.weights import container
from sepbench_plugins.unet import UNet
from sepbench_plugins.unet.model import UNetTrainable
from sepbench_plugins.unet.network import CompactUNet, PublishedUNet

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[2] / "configs" / "unet"


def model(name: str, **changes: object) -> UNetTrainable:
    section = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]
    return UNetTrainable({**section, **changes})


@pytest.fixture(scope="module")
def loaded() -> UNet:
    separator = UNet()
    separator.load(CPU)
    return separator


def test_the_published_network_has_its_parameters() -> None:
    network = model("published").network()
    assert sum(parameter.numel() for parameter in network.parameters()) == 9_823_313
    floats = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
    assert sum(buffer.numel() for buffer in floats) == 3_008


def test_the_published_patch_is_twelve_seconds() -> None:
    trainable = model("published")
    samples = round(
        yaml.safe_load((CONFIGS / "published.yaml").read_text())["examples"]["seconds"] * 8192
    )
    assert trainable.features(torch.zeros(1, samples)).shape == (1, 512, 128)


def test_a_mask_is_between_0_and_1() -> None:
    network = PublishedUNet((2, 2, 4, 4, 4, 4)).eval()
    mask = network(noise(2, 64, 128).abs())
    assert mask.shape == (2, 64, 128)
    assert 0 < mask.min() < mask.max() < 1


class _Column(nn.Module):
    """Gives each column its own level, so that patches have to agree."""

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        return magnitudes.mean(1, keepdim=True).expand_as(magnitudes)


@pytest.mark.parametrize("frames", [1, 63, 64, 65, 128, 300])
def test_overlapping_patches_join_without_a_trace(frames: int) -> None:
    inputs = torch.rand(2, 5, frames, generator=torch.Generator().manual_seed(0))
    mask = model("published").mask(_Column(), inputs)
    assert torch.allclose(mask, _Column()(inputs), atol=1e-6)


def test_scaled_by_the_song_the_level_does_not_matter() -> None:
    trainable = model("published", scale="song")
    signal = noise(1, 20000)
    quiet, loud = trainable.features(0.01 * signal), trainable.features(signal)
    assert torch.allclose(quiet, loud, atol=1e-5)
    assert float(loud.max()) == pytest.approx(1.0)


def test_audio_beyond_the_context_does_not_matter() -> None:
    trainable = UNetTrainable(
        {"architecture": "compact", "rate": 16000, "n_fft": 64, "hop": 32,
         "widths": [2, 2], "bottleneck": 4, "dilations": [1, 2]}
    )  # fmt: skip
    network = trainable.network().eval()
    assert isinstance(network, CompactUNet)
    inputs = torch.rand(1, 32, 200, generator=torch.Generator().manual_seed(0))
    other = inputs.clone()
    other[..., 100] += 1
    with torch.inference_mode():
        changed = (trainable.mask(network, inputs) - trainable.mask(network, other)).abs()
    where = changed.amax((0, 1)).nonzero().flatten()
    assert 100 - network.reach <= where.min()
    assert where.max() <= 100 + network.reach


def test_the_shipped_weights_say_what_they_are(loaded: UNet) -> None:
    assert loaded.weights_file.stat().st_size < 25e6
    assert container.digest(loaded.header["config"]) == loaded.header["config_sha256"]
    assert "medleydb/train" in loaded.trained_on
    assert not any(name.endswith(("/val", "/valid", "/test")) for name in loaded.trained_on)
    assert "CC-BY-NC-SA" in loaded.header["license"]


@pytest.mark.parametrize("samples", [1, 100, 1025, 50001])
def test_any_length_and_channels_come_back(loaded: UNet, samples: int) -> None:
    with torch.inference_mode():
        stems = loaded.separate(noise(3, samples))
    assert set(stems) == {"vocals"}
    assert stems["vocals"].shape == (3, samples)
    assert stems["vocals"].isfinite().all()


def test_a_song_without_voice_stays_accompaniment(loaded: UNet) -> None:
    stems = repeating_song(4)
    backing = stems["drums"] + stems["bass"]
    with torch.inference_mode():
        voice = loaded.separate(backing)["vocals"]
    assert sdr(backing, backing - voice) > 7


def test_both_channels_of_a_mono_song_come_out_as_one(loaded: UNet) -> None:
    mono = repeating_song(2)["vocals"][:1]
    with torch.inference_mode():
        one = loaded.separate(mono)["vocals"]
        two = loaded.separate(mono.repeat(2, 1))["vocals"]
    assert torch.allclose(two, one.repeat(2, 1), atol=1e-5)


def test_damaged_shipped_weights_are_noticed(
    loaded: UNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights").mkdir()
    content = bytearray(loaded.weights_file.read_bytes())
    content[-1] ^= 1
    (tmp_path / "weights" / "default.safetensors").write_bytes(content)
    monkeypatch.setattr(UNet, "folder", tmp_path)
    with pytest.raises(SepbenchError, match="damaged"):
        UNet().load(CPU)


def test_a_wrong_config_is_one_line() -> None:
    with pytest.raises(SepbenchError, match="architecture is"):
        model("default", architecture="vast")
    with pytest.raises(SepbenchError, match="choose one of"):
        model("default", objective="beauty")
