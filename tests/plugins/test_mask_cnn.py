from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from songs import noise, repeating_song

from sepbench.dsp.mel import mel_spaced
from sepbench.errors import SepbenchError
from sepbench.weights import container
from sepbench_plugins.mask_cnn import MaskCnn
from sepbench_plugins.mask_cnn.features import (
    a_weighting,
    pre_emphasis,
    weighted_levels,
)
from sepbench_plugins.mask_cnn.model import MaskCnnTrainable
from sepbench_plugins.mask_cnn.network import DilatedNet, WindowNet

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[2] / "configs" / "mask-cnn"


def model(name: str, **changes: object) -> MaskCnnTrainable:
    section = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]
    return MaskCnnTrainable({**section, **changes})


@pytest.fixture(scope="module")
def loaded() -> MaskCnn:
    separator = MaskCnn()
    separator.load(CPU)
    return separator


@pytest.mark.parametrize(
    ("architecture", "parameters"),
    [("residual", 1_821_089), ("convnet", 1_663_137), ("resnet18", 17_626_561)],
)
def test_the_published_networks_have_their_parameters(architecture: str, parameters: int) -> None:
    network = model("published", architecture=architecture).network()
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [
        WindowNet("residual", 65, 25),
        WindowNet("convnet", 65, 25),
        WindowNet("resnet18", 33, 25),
        DilatedNet(64, widths=(4, 4, 4), features=16, dilations=(1, 2)),
    ],
    ids=["residual", "convnet", "resnet18", "dilated"],
)
def test_one_pass_equals_window_after_window(network: WindowNet | DilatedNet) -> None:
    network.eval()
    width = 2 * network.margin + 1
    bins = network.bins
    levels = noise(2, bins, width + 20)
    with torch.inference_mode():
        dense = network(levels)
        windows = [network(levels[..., t : t + width]) for t in range(levels.shape[-1] - width + 1)]
    assert dense.shape == (2, bins, 21)
    assert (dense - torch.cat(windows, dim=-1)).abs().max() < 1e-4


def test_the_default_network_judges_each_column_by_its_window() -> None:
    trainable = model("default")
    network = trainable.network().eval()
    inputs = noise(1, 512, 90)
    with torch.inference_mode():
        mask = trainable.mask(network, inputs)
        far = inputs.clone()
        far[..., 10] += 3
        changed = (trainable.mask(network, far) - mask).abs().amax((0, 1))
    assert mask.shape == inputs.shape
    reach = trainable.margin
    assert not changed[10 + reach + 1 :].any()
    assert changed[10] > 0


def test_weighting_is_that_of_the_standard() -> None:
    librosa = pytest.importorskip("librosa")
    frequencies = mel_spaced(513, 125.0, 11025.0)
    np.testing.assert_allclose(
        frequencies, librosa.mel_frequencies(n_mels=513, fmin=125, fmax=11025), rtol=1e-9
    )
    ours = a_weighting(torch.linspace(10, 11025, 513))
    theirs = librosa.A_weighting(np.linspace(10, 11025, 513))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert float(a_weighting(torch.tensor([1000.0]))) == pytest.approx(0, abs=0.01)


@pytest.mark.slow
def test_levels_are_those_of_the_published_recipe() -> None:
    librosa = pytest.importorskip("librosa")
    magnitudes = noise(1, 513, 30).abs() * 10
    weighting = a_weighting(mel_spaced(513, 125.0, 11025.0))
    ours = weighted_levels(magnitudes, weighting)[0]
    decibels = librosa.power_to_db(magnitudes[0].numpy() ** 3, ref=20) + weighting.numpy()[:, None]
    np.testing.assert_allclose(ours, np.clip((decibels - 20 + 100) / 100, 0, 1), atol=1e-4)


def test_pre_emphasis_is_that_of_a_first_difference() -> None:
    signal = noise(1, 4096)
    difference = signal - 0.97 * torch.roll(signal, 1)
    gain = torch.fft.rfft(difference).abs() / torch.fft.rfft(signal).abs()
    assert torch.allclose(gain[0], pre_emphasis(0.97, 2049), atol=1e-3)


def test_published_labels_are_where_the_voice_is_loud() -> None:
    trainable = model("published")
    voice = 0.5 * torch.sin(2 * torch.pi * 1000 * torch.arange(22050) / 22050)[None]
    targets = trainable.targets({"vocals": voice, "accompaniment": noise(1, 22050)})
    labels = targets["labels"]
    assert labels.shape == (1, 513, 1 + 22050 // 256 - 24)
    rows = labels[0].mean(-1)
    assert rows[round(1000 / 22050 * 1024)] == 1
    assert rows[300:].max() == 0


def test_the_shipped_weights_say_what_they_are(loaded: MaskCnn) -> None:
    assert loaded.weights_file.stat().st_size < 25e6
    assert container.digest(loaded.header["config"]) == loaded.header["config_sha256"]
    assert "mir1k/train" in loaded.trained_on
    assert not any(name.endswith(("/val", "/valid", "/test")) for name in loaded.trained_on)
    assert "CC-BY-NC-SA" in loaded.header["license"]


@pytest.mark.parametrize("samples", [1, 100, 1025, 50001])
def test_any_length_and_channels_come_back(loaded: MaskCnn, samples: int) -> None:
    with torch.inference_mode():
        stems = loaded.separate(noise(3, samples))
    assert stems["vocals"].shape == (3, samples)
    assert stems["vocals"].isfinite().all()


def test_a_hard_mask_takes_all_or_nothing(loaded: MaskCnn) -> None:
    hard = MaskCnn(MaskCnn.Options(mask="hard"))
    mask = torch.tensor([0.2, 0.5, 0.7])
    assert hard.shares(mask)["vocals"].tolist() == [0, 0, 1]
    assert hard.remainder == loaded.remainder == "accompaniment"


def test_a_gate_silences_small_shares_in_either_stem() -> None:
    gated = MaskCnn(MaskCnn.Options(gate=0.3))
    shares = gated.shares(torch.tensor([0.2, 0.5, 0.9]))
    assert shares["vocals"].tolist() == pytest.approx([0, 0.5, 0.9])
    assert shares["accompaniment"].tolist() == pytest.approx([0.8, 0.5, 0])
    assert gated.remainder is None


def test_no_voice_is_heard_where_there_is_none(loaded: MaskCnn) -> None:
    stems = repeating_song(4)
    backing = stems["drums"] + stems["bass"]
    with torch.inference_mode():
        voice = loaded.separate(backing)["vocals"]
    assert voice.square().sum() < 0.2 * backing.square().sum()


def test_wrong_weights_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="no weights 'published'"):
        _ = MaskCnn(MaskCnn.Options(weights="published")).header
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(SepbenchError, match="not a weight file"):
        _ = MaskCnn(MaskCnn.Options(weights=str(broken))).header
    other = tmp_path / "other.safetensors"
    container.save(other, {"x": torch.zeros(1)}, {"method": "unet", "model": {}})
    with pytest.raises(SepbenchError, match="weights of unet, not of mask-cnn"):
        _ = MaskCnn(MaskCnn.Options(weights=str(other))).header


def test_weights_by_path_are_the_same_as_by_name(loaded: MaskCnn) -> None:
    by_path = MaskCnn(MaskCnn.Options(weights=str(loaded.weights_file)))
    by_path.load(CPU)
    assert by_path.weight_files[0].sha256 == loaded.weight_files[0].sha256
    mixture = noise(1, 20000)
    with torch.inference_mode():
        assert torch.equal(by_path.separate(mixture)["vocals"], loaded.separate(mixture)["vocals"])


def test_at_the_trained_rate_there_is_nothing_to_continue(loaded: MaskCnn) -> None:
    narrow = MaskCnn(MaskCnn.Options(full_band=False))
    assert narrow.sample_rate == 16000
    assert loaded.sample_rate == 48000
    narrow.load(CPU)
    with torch.inference_mode():
        assert narrow.separate(noise(1, 16000))["vocals"].isfinite().all()
