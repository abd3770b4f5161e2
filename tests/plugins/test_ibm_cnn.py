from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch
import yaml
from commands import run
from songs import noise

from sepbench.errors import SepbenchError
from sepbench.weights import container
from sepbench_plugins.ibm_cnn import IbmCnn
from sepbench_plugins.ibm_cnn.filters import FILTERS, adaptive_wiener, harmonic_part
from sepbench_plugins.ibm_cnn.model import WindowTrainable, trainable
from sepbench_plugins.ibm_cnn.network import FrequencyUNet
from sepbench_plugins.ibm_cnn.published import LAYOUTS, WindowNet

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[2] / "configs" / "ibm-cnn"
SMALL = {"architecture": "deep", "rate": 8000, "n_fft": 512, "win": 128, "hop": 32}


def config(name: str) -> dict[str, object]:
    section: dict[str, object] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]
    return section


def parameters(network: torch.nn.Module) -> int:
    """Count weights and the statistics of normalisation, as Keras does."""
    tensors = itertools.chain(network.parameters(), network.buffers())
    return sum(tensor.numel() for tensor in tensors if tensor.ndim)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("published-separator", 3_246_353),
        ("published-deep", 14_733_961),
        ("published-deep-dae", 14_733_961),
        ("lin2018", 19_489_049),
        ("published-vad", 123_985),
    ],
)
def test_the_published_networks_have_their_parameters(name: str, count: int) -> None:
    assert parameters(trainable(config(name)).network()) == count


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_dense_pass_equals_window_after_window(name: str) -> None:
    torch.manual_seed(0)
    network = WindowNet(LAYOUTS[name], bins=300).eval()
    for norm in network.norms:
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    columns = torch.randn(2, 300, 50)
    with torch.inference_mode():
        dense = network.dense(columns)
        alone = [network(columns[..., start : start + 9])[:, 0] for start in range(42)]
    assert float(dense.std()) > 1e-3
    assert torch.allclose(dense, torch.stack(alone, 1), atol=1e-5)


def test_the_default_network_judges_each_column_by_its_window() -> None:
    torch.manual_seed(0)
    network = FrequencyUNet(64, widths=(4, 4), features=8, dilations=(1, 2)).eval()
    size = 2 * network.margin + 1
    levels = torch.randn(1, 64, size + 5)
    with torch.inference_mode():
        dense = network(levels)
        alone = [network(levels[..., start : start + size]) for start in range(6)]
    assert torch.allclose(dense, torch.cat(alone, -1), atol=1e-5)


def test_the_label_is_the_ideal_binary_mask() -> None:
    model = WindowTrainable({**SMALL, "labels": [0.02, 0.98], "predicts": "accompaniment"})
    voice, rest = noise(1, 256, seed=1), 0.5 * noise(1, 256, seed=2)
    labels = model.targets({"vocals": voice, "accompaniment": rest})["labels"]
    assert labels.shape == (1, 1, 257, 9)
    louder = model.stft.forward(voice).abs() >= model.stft.forward(rest).abs()
    assert torch.equal(labels[0, 0], torch.where(louder[0], 0.02, 0.98))
    centre = WindowTrainable({**SMALL, "label_width": 1}).targets(
        {"vocals": voice, "accompaniment": rest}
    )["labels"]
    assert torch.equal(centre[0, 0, :, 0], louder[0, :, 4].float())


class _Known(torch.nn.Module):
    """Says for each column of a window how many columns into the song it stands."""

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        return columns.unfold(-1, 9, 1).movedim(2, 1)


def test_overlapping_masks_are_averaged_where_they_overlap() -> None:
    song = torch.arange(1.0, 21.0).expand(1, 257, 20)
    for merge in ("mean", "centre"):
        model = WindowTrainable({**SMALL, "merge": merge})
        assert torch.allclose(model.mask(_Known(), song), song, atol=1e-5)
    inverted = WindowTrainable({**SMALL, "predicts": "accompaniment"})
    assert torch.allclose(inverted.mask(_Known(), song), 1 - song, atol=1e-5)


def test_real_part_and_scale_are_what_the_network_is_shown() -> None:
    spectrum = torch.tensor([[[3 + 4j, -1 + 0j]]])
    assert torch.equal(
        trainable(config("lin2018")).inputs(spectrum)[0, 0] * 512, torch.tensor([5.0, 1.0])
    )
    shown = trainable(config("published-deep")).inputs(spectrum)
    assert torch.equal(shown[0, 0], torch.tensor([3.0, -1.0]))


def test_masks_are_cut_and_made_binary() -> None:
    mask = torch.tensor([0.1, 0.15, 0.4, 0.6, 0.9])
    cut = IbmCnn(IbmCnn.Options(cut=0.15)).shares(mask)
    assert cut["vocals"].tolist() == pytest.approx([0, 0, 0.4, 0.6, 0.9])
    published = IbmCnn(IbmCnn.Options(cut=0.15, rest="binary")).shares(mask)
    assert published["accompaniment"].tolist() == [1, 1, 1, 0, 0]
    binary = IbmCnn(IbmCnn.Options(mask="binary")).shares(mask)
    assert binary["vocals"].tolist() == [0, 0, 0, 1, 1]


def test_the_harmonic_filter_keeps_a_tone_and_drops_clicks() -> None:
    samples = torch.arange(44_100)
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * samples / 22_050)[None]
    clicks = torch.zeros_like(tone)
    clicks[:, ::5000] = 0.9
    found = harmonic_part(tone + clicks, tone, 22_050)
    assert (found - tone).square().mean() < 0.2 * clicks.square().mean()


def test_the_adaptive_wiener_filter_is_scipys() -> None:
    torch.manual_seed(0)
    vocals = noise(1, 40_000, seed=3)
    found = adaptive_wiener(vocals, vocals, 22_050)
    from sepbench.dsp.stft import Stft

    stft = Stft(n_fft=1024, hop=256)
    magnitude = stft.forward(vocals).abs()[0].double().numpy()
    expected = scipy.signal.wiener(magnitude, (300, 300))
    gain = torch.from_numpy(np.clip(expected / magnitude, 0, 1)).float()
    assert torch.allclose(found, stft.inverse(stft.forward(vocals) * gain, 40_000), atol=1e-4)


def test_the_gate_closes_and_never_opens() -> None:
    vocals = noise(2, 32_000, seed=4)
    silent = FILTERS["vad"](vocals, torch.zeros_like(vocals), 16_000)
    assert silent.square().sum() < 1e-3 * vocals.square().sum()
    assert (silent.abs() <= vocals.abs() + 1e-7).all()


@pytest.mark.slow
@pytest.mark.parametrize("post", ["hpss", "wiener", "vad", "vad+hpss+wiener"])
def test_a_filter_follows_the_included_weights(post: str) -> None:
    mixture = noise(2, 48_000, seed=5)
    energy = {}
    for chain in ("none", post):
        separator = IbmCnn(IbmCnn.Options(post=chain))
        separator.load(CPU)
        with torch.inference_mode():
            vocals = separator.separate(mixture)["vocals"]
        assert vocals.shape == mixture.shape
        energy[chain] = vocals.square().sum()
    assert energy[post] < energy["none"]


def test_an_unknown_filter_is_one_line() -> None:
    with pytest.raises(SepbenchError, match=r"no filter 'denoise'.*hpss, wiener, vad"):
        IbmCnn(IbmCnn.Options(post="hpss+denoise"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_width": 3}, "label_width=3: must be 1 or 9"),
        ({"task": "autoencode", "label_width": 1}, "needs label_width=9"),
        ({"merge": "sum"}, "choose one of mean, centre"),
        ({"kernel": 3}, "unknown field 'kernel'"),
    ],
)
def test_a_wrong_field_is_one_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trainable({**SMALL, **changes})


TRAINING = {"epochs": 1, "examples": 4, "batch_size": 2, "workers": 0, "best": "loss", "clip": 0}


def write_config(file: Path, **model: object) -> Path:
    sections = {
        "model": {**SMALL, "objective": "labels", **model},
        "examples": {"mixtures": "songs", "seconds": 0.032},
        "training": {**TRAINING, "start": "keras"},
    }
    file.write_text(yaml.safe_dump(sections))
    return file


@pytest.mark.slow
def test_the_published_flow_from_autoencoder_to_stems(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "train", "valid", "test")):
        folder = tmp_path / "songs" / split / f"song {number}"
        folder.mkdir(parents=True)
        for stem, seed in (("vocals", 1), ("drums", 2), ("bass", 3)):
            samples = noise(1, 8000, seed=10 * number + seed)[0].numpy()
            soundfile.write(folder / f"{stem}.wav", samples, 8000)
    songs, dae, deep = tmp_path / "songs", tmp_path / "dae", tmp_path / "deep"
    begin = write_config(tmp_path / "dae.yaml", task="autoencode")
    done = run("train", "ibm-cnn", "-d", songs, "-c", begin, "-o", dae)
    assert done.exit_code == 0, done.output
    end = write_config(tmp_path / "deep.yaml")
    done = run("train", "ibm-cnn", "-d", songs, "-c", end, "--init", dae, "-o", deep)
    assert done.exit_code == 0, done.output
    header = container.read_header(deep / "weights.safetensors")
    assert header["init"]["sha256"] == container.sha256(dae / "best.pt")
    song = tmp_path / "songs" / "test" / "song 3" / "vocals.wav"
    method = f"ibm-cnn[weights={deep / 'weights.safetensors'},cut=0.15,rest=binary,post=hpss]"
    done = run("separate", "-m", method, song, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "out").rglob("*.wav"))) == 2

    refused = run("separate", "-m", f"ibm-cnn[weights={dae / 'weights.safetensors'}]", song)
    assert refused.exit_code == 2
    assert "autoencoder" in refused.output
    assert "--init" in refused.output
    other = write_config(tmp_path / "other.yaml", architecture="separator", label_width=1)
    done = run("train", "ibm-cnn", "-d", songs, "-c", other, "--init", dae, "-o", tmp_path / "no")
    assert done.exit_code == 2
    assert "do not fit" in done.output


def test_weights_of_a_detector_are_refused_with_the_cure() -> None:
    from sepbench.activity.shipped import DEFAULT

    separator = IbmCnn(IbmCnn.Options(weights=str(DEFAULT)))
    with pytest.raises(SepbenchError, match="sepbench activity --weights"):
        separator.load(CPU)
