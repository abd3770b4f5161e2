from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from songs import noise, repeating_song, sdr

from sepbench.errors import SepbenchError
from sepbench.training.config import read_config
from sepbench.weights import container, formats
from sepbench_plugins.spleeter import Spleeter
from sepbench_plugins.spleeter.network import REACH, StereoUNet, read_network
from sepbench_plugins.unet_stereo import UNetStereo
from sepbench_plugins.unet_stereo.convert import MODEL, SpleeterExchange
from sepbench_plugins.unet_stereo.model import StereoUNetTrainable

from .test_spleeter import arrays  # noqa: F401

CPU = torch.device("cpu")
CONFIG = Path(__file__).parents[2] / "configs" / "unet-stereo" / "default.yaml"


@pytest.fixture(scope="module")
def trainable() -> StereoUNetTrainable:
    return StereoUNetTrainable(yaml.safe_load(CONFIG.read_text())["model"])


@pytest.fixture(scope="module")
def loaded() -> UNetStereo:
    separator = UNetStereo()
    separator.load(CPU)
    return separator


@pytest.mark.slow
def test_frames_beyond_the_reach_do_not_matter() -> None:
    network = StereoUNet()
    for name, parameter in network.named_parameters():
        # Positive weights, so that nothing cancels.
        fill = 0.1 / parameter.shape[1] if parameter.ndim == 4 else float("slope" in name)
        torch.nn.init.constant_(parameter, fill)
    logits: list[torch.Tensor] = []
    network.mask.register_forward_hook(lambda _, __, out: logits.append(out))
    reaches = []
    for frame in (480, 511, 512, 543):
        magnitudes = torch.ones(1, 2, 64, 1024, requires_grad=True)
        network(magnitudes)
        logits[-1][0, :, frame].sum().backward()
        assert magnitudes.grad is not None
        seen = magnitudes.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        reaches += [frame - int(seen.min()), int(seen.max()) - frame]
    assert max(reaches) <= REACH


def test_an_example_of_the_config_fills_whole_frames(trainable: StereoUNetTrainable) -> None:
    examples = yaml.safe_load(CONFIG.read_text())["examples"]
    samples = round(examples["seconds"] * trainable.rate)
    stereo = trainable.features(torch.zeros(3, 2, samples))
    assert stereo.shape == (3, 2, 768, 256)
    assert trainable.features(torch.zeros(3, samples)).shape == stereo.shape


def test_the_loss_is_least_for_the_best_mask_of_each_channel(
    trainable: StereoUNetTrainable,
) -> None:
    voice, rest = noise(1, 2, 16_000), noise(1, 2, 16_000, seed=1)
    voice[:, 0] = 0  # The voice is on the right alone.
    targets = trainable.targets({"vocals": voice, "accompaniment": rest})
    best = (targets["inner"] / targets["mixture"]).clamp(0, 1)
    assert best.shape[1] == 2
    loss = trainable.loss(best, targets)
    assert loss < trainable.loss(best.flip(1), targets)
    assert loss < trainable.loss((best + 0.05).clamp(0, 1), targets)


def test_one_channel_is_trained_on_as_two_that_are_the_same(
    trainable: StereoUNetTrainable,
) -> None:
    one = {"vocals": noise(2, 16_000), "accompaniment": noise(2, 16_000, seed=1)}
    two = {name: stem[:, None].expand(-1, 2, -1) for name, stem in one.items()}
    masks = torch.rand(2, 2, 768, 42, generator=torch.Generator().manual_seed(0))
    losses = [float(trainable.loss(masks, trainable.targets(stems))) for stems in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


@pytest.mark.slow
def test_a_network_of_spleeter_is_converted(
    arrays: dict[str, np.ndarray],  # noqa: F811
    tmp_path: Path,
) -> None:
    torch.save(arrays, tmp_path / "weights.ckpt")
    out = tmp_path / "voice.safetensors"
    header = formats.read_weights("spleeter", tmp_path / "weights.ckpt", out)
    # As in the config, so that the mean of these weights and of a run from them can be taken.
    assert header["model"] == yaml.safe_load(CONFIG.read_text())["model"]
    separator = UNetStereo(UNetStereo.Options(weights=str(out)))
    separator.load(CPU)
    assert separator.trained_on == ("bean",)
    # The gain is for songs at this level, to which others are scaled.
    assert separator.level == -20.0
    assert separator._network.down[0].weight.equal(torch.from_numpy(arrays["down1_conv.1.weight"]))  # type: ignore[union-attr, index, operator]


@pytest.mark.slow
def test_the_network_for_the_accompaniment_becomes_one_for_the_voice(
    arrays: dict[str, np.ndarray],  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, out = tmp_path / "weights.ckpt", tmp_path / "voice.safetensors"
    torch.save(arrays, path)
    first, second = Spleeter.weight_files
    known = replace(second, sha256=container.sha256(path))
    monkeypatch.setattr(Spleeter, "weight_files", (first, known))
    SpleeterExchange().read(path, out)
    voice = StereoUNet()
    container.load_into(voice, out)
    magnitudes = noise(1, 2, 64, 64).abs()
    with torch.inference_mode():
        masks = voice(magnitudes) + read_network(path)(magnitudes)
    assert masks.allclose(torch.ones_like(masks), atol=1e-6)


def test_any_other_file_is_refused_as_a_network_of_spleeter(tmp_path: Path) -> None:
    (tmp_path / "weights.ckpt").write_bytes(b"no weights")
    with pytest.raises(SepbenchError, match="not the weights of a network of Spleeter"):
        SpleeterExchange().read(tmp_path / "weights.ckpt", tmp_path / "out.safetensors")
    assert MODEL["hop"] * 4 == MODEL["n_fft"]


def test_the_shipped_weights_say_what_they_are(loaded: UNetStereo) -> None:
    assert loaded.weights_file.stat().st_size < 25e6
    assert container.digest(loaded.header["config"]) == loaded.header["config_sha256"]
    assert {"bean", "medleydb/train"} <= set(loaded.trained_on)
    assert not any(name.endswith(("/val", "/valid", "/test")) for name in loaded.trained_on)
    assert "MIT" in loaded.header["license"]
    assert "CC-BY-NC-SA" in loaded.header["license"]


def test_the_free_weights_were_not_trained_on_non_commercial_material() -> None:
    free = UNetStereo(UNetStereo.Options(weights="free"))
    assert free.license == "MIT; weights MIT AND CC-BY-4.0 AND GPL-3.0-only"
    assert {name.partition("/")[0] for name in free.trained_on} <= {
        "bean", "everythingisremixed", "voices", "rendered", "backgrounds"
    }  # fmt: skip
    assert "backgrounds/fretsonfire/train" not in free.trained_on
    assert "NC" not in free.header["license"]
    assert free.header["model"] == read_config("unet-stereo", "free").model
    free.load(CPU)
    stems = repeating_song(4)
    mixture = sum(stems.values())
    with torch.inference_mode():
        vocals = free.separate(mixture)["vocals"]
    assert sdr(stems["vocals"], vocals) > sdr(stems["vocals"], mixture) + 1


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "samples"), [(1, 1), (2, 1537), (3, 50_001)])
def test_any_length_and_channels_come_back(loaded: UNetStereo, channels: int, samples: int) -> None:
    with torch.inference_mode():
        stems = loaded.separate(noise(channels, samples))
    assert set(stems) == {"vocals"}
    assert stems["vocals"].shape == (channels, samples)
    assert stems["vocals"].isfinite().all()


@pytest.mark.slow
def test_a_song_without_voice_stays_accompaniment(loaded: UNetStereo) -> None:
    stems = repeating_song(4)
    backing = stems["drums"] + stems["bass"]
    with torch.inference_mode():
        voice = loaded.separate(backing)["vocals"]
    assert sdr(backing, backing - voice) > 7


@pytest.mark.slow
def test_both_channels_of_a_mono_song_come_out_as_one(loaded: UNetStereo) -> None:
    mono = repeating_song(2)["vocals"][:1]
    with torch.inference_mode():
        one = loaded.separate(mono)["vocals"]
        two = loaded.separate(mono.repeat(2, 1))["vocals"]
    assert torch.allclose(two, one.repeat(2, 1), atol=1e-5)
