from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
import yaml
from safetensors.torch import load_file
from songs import noise, repeating_song, sdr
from torch.nn import functional

from sepbench.errors import SepbenchError
from sepbench.training.config import read_config
from sepbench.weights import container
from sepbench.weights.safe_unpickle import read_checkpoint
from sepbench_plugins.blstm import BLSTM
from sepbench_plugins.blstm.convert import NusslExchange
from sepbench_plugins.blstm.model import BLSTMTrainable
from sepbench_plugins.blstm.network import MaskInference

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parents[2] / "configs" / "blstm"
SMALL = {
    "rate": 8000, "n_fft": 64, "hop": 16, "window": "sqrt_hann", "hidden_size": 6, "num_layers": 2,
    "bidirectional": True, "dropout": 0.3,
}  # fmt: skip
WIDE = {**SMALL, "projection": 5, "head": 7, "floor": 1e-6, "middle": True}


def model(name: str, **changes: object) -> BLSTMTrainable:
    section = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]
    return BLSTMTrainable({**section, **changes})


def small(**changes: object) -> BLSTMTrainable:
    return BLSTMTrainable({**SMALL, **changes})


def network(trainable: BLSTMTrainable) -> MaskInference:
    """Build a network all of whose tensors differ from what they begin as."""
    made = trainable.network()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in made.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if "var" in name else (-0.5, 0.5)
            tensor.uniform_(low, high, generator=generator)
    assert isinstance(made, MaskInference)
    return made.eval()


def weight_file(path: Path, section: dict[str, Any], *, half: bool = False) -> Path:
    header = {
        "method": "blstm", "model": section, "context": None, "config": {},
        "trained_on": ["nothing"], "license": "none",
    }  # fmt: skip
    tensors = network(BLSTMTrainable(section)).state_dict()
    container.save(path, tensors, header, half=half)
    return path


def separator(path: Path, **options: Any) -> BLSTM:
    made = BLSTM(BLSTM.Options(weights=str(path), **options))
    made.load(CPU)
    return made


def voice(of: BLSTM, mixture: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return of.separate(mixture)["vocals"]


class Touches:
    """An object whose unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def as_published(trainable: BLSTMTrainable, foreign: object) -> tuple[bytes, dict[str, Any]]:
    """A checkpoint whose network is one module, with other people's objects around it."""
    tensors = dict(network(trainable).state_dict())
    config = {
        "name": "MaskInference",
        "modules": {
            "model": {"class": "MaskInference", "args": trainable.arguments},
            "mask": {"class": "Alias", "args": {}},
        },
        "connections": [["model", ["mix_magnitude"]], ["mask", ["model:mask"]]],
        "output": ["mask"],
    }
    content = {
        "state_dict": {f"layers.model.{name}": tensor for name, tensor in tensors.items()},
        "config": json.dumps(config),
        "metadata": {"sample_rate": 8000, "foreign": foreign, "nussl_version": "1.1.9"},
    }
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue(), tensors


def test_the_published_network_has_its_parameters() -> None:
    made = model("published").network()
    assert sum(parameter.numel() for parameter in made.parameters()) == 210_871
    assert made.recurrent_stack.rnn.dropout == 0.3


def test_forget_gates_begin_open() -> None:
    made = model("published").network()
    rnn = made.recurrent_stack.rnn
    for name in ("bias_ih_l0", "bias_hh_l0", "bias_ih_l1_reverse", "bias_hh_l1_reverse"):
        bias = getattr(rnn, name)
        assert (bias[50:100] == 1).all()
        assert bias.count_nonzero() == 50
    assert float(rnn.weight_ih_l0.detach().std()) == pytest.approx(
        (2 / (257 + 200)) ** 0.5, rel=0.05
    )


@pytest.mark.parametrize("samples", [1000, 1024, 5001])
def test_the_published_magnitudes_are_those_of_scipy(samples: int) -> None:
    trainable = model("published")
    signal = noise(1, samples)
    _, _, theirs = scipy.signal.stft(
        signal[0].double(), window=np.sqrt(scipy.signal.get_window("hann", 512)), nperseg=512,
        noverlap=384, boundary="zeros", padded=True, scaling="spectrum",
    )  # fmt: skip
    filled = functional.pad(signal, (0, -samples % 128))
    ours = trainable.inputs(trainable.stft.forward(filled))[0, ..., 0].mT
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy() - np.abs(theirs)).max() < 1e-7


def test_bins_that_had_nothing_in_training_are_masked_as_in_nussl() -> None:
    trainable = model("published")
    made = network(trainable)
    made.input_normalization.batch_norm.running_mean[128:] = -80.0
    made.input_normalization.batch_norm.running_var[128:] = 1e-40
    falling = torch.fft.rfft(noise(1, 51_200)) * torch.logspace(0, -2.5, 25_601)
    spectrum = trainable.stft.forward(torch.fft.irfft(falling))
    # nussl has the frames of a bin side by side in memory; another order rounds in another way.
    theirs = (spectrum.abs() * trainable.scale).contiguous().mT[..., None]
    ours = trainable.inputs(spectrum)
    assert torch.equal(ours, theirs)
    assert torch.equal(made(ours), made(theirs))
    assert not torch.equal(made(ours.contiguous()), made(theirs))


def test_silence_counts_as_80_decibels_below_full() -> None:
    made = network(small())
    quiet, silent = torch.full((1, 3, 33, 1), 1e-4), torch.zeros(1, 3, 33, 1)
    assert torch.equal(made(quiet), made(silent))
    assert not torch.equal(made(10 * quiet), made(silent))


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({"num_sources": 3}, (2, 9, 33, 1, 3)),
        ({"num_audio_channels": 2}, (2, 9, 33, 2, 1)),
        ({"num_layers": 1, "bidirectional": False, "dropout": 0.0}, (2, 9, 33, 1, 1)),
        ({"projection": 5, "head": 7}, (2, 9, 33, 1, 1)),
        ({"n_fft": 32, "num_features": 17}, (2, 9, 17, 1, 1)),
    ],
)
def test_masks_have_a_value_for_each_bin_channel_and_source(
    changes: dict[str, Any], shape: tuple[int, ...]
) -> None:
    masks = network(small(**changes))(torch.rand(shape[:-1]))
    assert masks.shape == shape
    assert 0 < masks.min() < masks.max() < 1


def test_activations_bound_the_masks() -> None:
    inputs = torch.rand(1, 5, 33, 1)

    def masks(activation: str | list[str]) -> torch.Tensor:
        return network(small(num_sources=3, activation=activation))(inputs)

    assert torch.allclose(masks("softmax").sum(-1), torch.ones(1), atol=1e-6)
    assert torch.allclose(masks(["relu", "unit_norm"]).norm(dim=-1).max(), torch.ones(1), atol=1e-6)
    assert torch.allclose(masks(["sigmoid", "l1_norm"]).sum(-1), torch.ones(1), atol=1e-6)
    assert masks("tanh").min() < 0
    assert masks("gated_tanh").abs().max() <= 1


def test_one_direction_cannot_hear_what_comes() -> None:
    inputs = torch.rand(1, 20, 33, 1, generator=torch.Generator().manual_seed(0))
    other = inputs.clone()
    other[:, 10] += 1
    for both, first in ((False, 10), (True, 0)):
        made = network(small(bidirectional=both))
        changed = (made(inputs) - made(other)).abs().amax((0, 2, 3, 4)).nonzero()
        assert int(changed.min()) == first


def test_two_masks_that_share_the_mixture_cost_what_one_does() -> None:
    stems = {"vocals": noise(2, 4000), "accompaniment": noise(2, 4000).flip(-1)}
    one, two = small(), small(num_sources=2)
    mask = torch.rand(2, one.stft.frames(4000), 33, 1, 1)
    both = torch.cat([1 - mask, mask], dim=-1)
    costs = [
        float(model.loss(out, model.targets(stems))) for model, out in ((one, mask), (two, both))
    ]
    assert costs[1] == pytest.approx(costs[0], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.0},
        {"objective": "magnitude", "num_sources": 2, "activation": "softmax"},
        {"num_audio_channels": 2, "num_layers": 1, "bidirectional": False},
        {"projection": 8, "head": 8},
    ],
)
def test_every_kind_learns_a_tone_from_noise(changes: dict[str, Any]) -> None:
    tone = 0.3 * torch.sin(torch.arange(8000) * 0.5)[None]
    stems = {"vocals": tone, "accompaniment": 0.1 * noise(1, 8000)}
    trainable = small(**changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = trainable.network()
        optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
        inputs, targets = trainable.features(sum(stems.values())), trainable.targets(stems)
        losses = []
        for _ in range(30):
            loss = trainable.loss(made(inputs), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    found = trainable.vocals(made.eval(), sum(stems.values())).detach()
    assert losses[-1] < losses[0]
    assert sdr(tone, found) > sdr(tone, sum(stems.values())) + 3


@pytest.mark.parametrize("name", ["default", "published"])
def test_the_configs_that_come_along_are_whole(name: str) -> None:
    config = read_config("blstm", name)
    assert BLSTMTrainable(config.model).rate * config.examples.seconds > 40_000
    assert config.training.steps_per_epoch in (32, 40)


def test_three_sources_separate_but_cannot_be_trained() -> None:
    trainable = small(num_sources=3)
    stems = {"vocals": noise(1, 2000), "accompaniment": noise(1, 2000)}
    with pytest.raises(SepbenchError, match="num_sources is 1 or 2"):
        trainable.loss(
            network(trainable)(trainable.features(noise(1, 2000))), trainable.targets(stems)
        )


@pytest.mark.parametrize("samples", [1, 15, 64, 3001])
@pytest.mark.parametrize("section", [SMALL, WIDE])
def test_any_length_and_channels_come_back(
    tmp_path: Path, section: dict[str, Any], samples: int
) -> None:
    made = separator(weight_file(tmp_path / "w.safetensors", section))
    for channels in (1, 2, 3):
        stem = voice(made, noise(channels, samples))
        assert stem.shape == (channels, samples)
        assert stem.isfinite().all()


def test_a_stereo_network_hears_both_channels_together(tmp_path: Path) -> None:
    made = separator(weight_file(tmp_path / "w.safetensors", {**SMALL, "num_audio_channels": 2}))
    assert made.channels == 2
    assert not made.takes_mid_and_side
    song = noise(2, 3000)
    other = song * torch.tensor([[1.0], [0.0]])
    assert not torch.allclose(voice(made, song)[0], voice(made, other)[0], atol=1e-4)


def test_the_weights_are_in_memory_once(tmp_path: Path) -> None:
    loaded = separator(weight_file(tmp_path / "w.safetensors", SMALL))
    networks = [value for value in vars(loaded).values() if isinstance(value, torch.nn.Module)]
    tensors = {one.data_ptr(): one.nelement() for part in networks for one in part.parameters()}
    assert sum(tensors.values()) == sum(one.nelement() for one in loaded._network.parameters())


def test_normalised_by_the_song_the_level_does_not_matter(tmp_path: Path) -> None:
    file = weight_file(tmp_path / "w.safetensors", {**SMALL, "floor": 1e-9})
    song = noise(2, 4000)
    plain, own = separator(file), separator(file, per_clip_norm=True)
    assert torch.allclose(voice(own, 0.1 * song), 0.1 * voice(own, song), atol=1e-5)
    assert not torch.allclose(voice(plain, 0.1 * song), 0.1 * voice(plain, song), atol=1e-3)


@pytest.mark.slow
def test_a_checkpoint_is_read_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    content, tensors = as_published(small(), Touches(touched))
    file = tmp_path / "best.model.pth"
    file.write_bytes(content)
    header = NusslExchange().read(file, tmp_path / "w.safetensors")
    assert not touched.exists()
    torch.load(io.BytesIO(content), weights_only=False)
    assert touched.exists()  # it would have been
    assert header["model"]["hop"] == 16
    mine = separator(tmp_path / "w.safetensors")._network.state_dict()
    assert all(torch.equal(mine[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("where", ["config", "state_dict", "metadata"])
def test_harm_is_not_done_wherever_it_hides(tmp_path: Path, where: str) -> None:
    touched = tmp_path / "touched"
    content, _ = as_published(small(), None)
    whole = torch.load(io.BytesIO(content))
    whole[where] = Touches(touched)
    torch.save(whole, tmp_path / "bad.pth")
    with suppress(SepbenchError):
        NusslExchange().read(tmp_path / "bad.pth", tmp_path / "w.safetensors")
    assert not touched.exists()


def test_a_pickle_cannot_change_how_the_next_is_read(tmp_path: Path) -> None:
    # Sets attributes on whatever stands for torch's function that rebuilds tensors.
    program = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\nN}X\x08\x00\x00\x00"
    program += b"__call__K\x01s\x86bs."
    with zipfile.ZipFile(tmp_path / "bad.pth", "w") as archive:
        archive.writestr("archive/data.pkl", program)
    assert callable(next(iter(read_checkpoint(tmp_path / "bad.pth").values())))
    content, _ = as_published(small(), None)
    (tmp_path / "good.pth").write_bytes(content)
    assert NusslExchange().read(tmp_path / "good.pth", tmp_path / "w.safetensors")


def test_damaged_checkpoints_are_one_line(tmp_path: Path) -> None:
    content, _ = as_published(small(), None)
    foreign, pickled = io.BytesIO(), io.BytesIO()
    torch.save({"something": torch.zeros(3)}, foreign)
    pickle.dump({"state_dict": {}}, pickled)
    cases = (content[:-400], b"", b"RIFF" * 100, foreign.getvalue(), pickled.getvalue())
    for number, case in enumerate(cases):
        file = tmp_path / f"{number}.pth"
        file.write_bytes(case)
        with pytest.raises(SepbenchError, match=f"{number}.pth: not a ") as caught:
            NusslExchange().read(file, tmp_path / "w.safetensors")
        assert "\n" not in str(caught.value)
        assert not re.search("Error|zip|Errno", str(caught.value).removeprefix(str(tmp_path)))
    with pytest.raises(SepbenchError, match="a folder; give the checkpoint in it"):
        NusslExchange().read(tmp_path, tmp_path / "w.safetensors")
    with pytest.raises(SepbenchError, match="no such checkpoint"):
        NusslExchange().read(tmp_path / "none.pth", tmp_path / "w.safetensors")


@pytest.mark.parametrize("rate", [float("inf"), float("nan"), "fast", [1]])
def test_metadata_that_are_no_numbers_are_one_line(tmp_path: Path, rate: Any) -> None:
    content, _ = as_published(small(), None)
    whole = torch.load(io.BytesIO(content), weights_only=False)
    file = tmp_path / "odd.pth"
    torch.save({**whole, "metadata": {"sample_rate": rate}}, file)
    with pytest.raises(SepbenchError, match=r"odd\.pth: not a mask inference network of nussl"):
        NusslExchange().read(file, tmp_path / "w.safetensors")
    trained = {"epoch": rate, "epoch_length": 3}
    torch.save({**whole, "metadata": {"sample_rate": 8000, "trainer.state_dict": trained}}, file)
    assert NusslExchange().read(file, tmp_path / "w.safetensors")["epochs"] == 0


def test_sizes_that_nobody_has_memory_for_are_refused(tmp_path: Path) -> None:
    content, _ = as_published(small(), None)
    whole = torch.load(io.BytesIO(content))
    config = json.loads(whole["config"])
    config["modules"]["model"]["args"]["hidden_size"] = 10**6
    torch.save({**whole, "config": json.dumps(config)}, tmp_path / "vast.pth")
    with pytest.raises(SepbenchError, match="do not fit the network"):
        NusslExchange().read(tmp_path / "vast.pth", tmp_path / "w.safetensors")


def test_one_storage_cannot_be_made_many_tensors_of_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sepbench.weights.safe_unpickle._LARGEST", 10_000)
    one = torch.zeros(1000)
    torch.save({"state_dict": dict.fromkeys("ab", one)}, tmp_path / "two.pth")
    assert len(read_checkpoint(tmp_path / "two.pth")["state_dict"]) == 2
    torch.save({"state_dict": dict.fromkeys("abc", one)}, tmp_path / "three.pth")
    with pytest.raises(SepbenchError, match="larger than any network"):
        read_checkpoint(tmp_path / "three.pth")


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    content, _ = as_published(small(), None)
    inside, outside = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(outside, "w") as archive:
        for name in inside.namelist():
            data = inside.read(name)
            archive.writestr(name, data[:-4] if name.endswith("data/0") else data)
    (tmp_path / "short.pth").write_bytes(outside.getvalue())
    with pytest.raises(SepbenchError, match="has a wrong size"):
        NusslExchange().read(tmp_path / "short.pth", tmp_path / "w.safetensors")


@pytest.mark.parametrize("section", [SMALL, WIDE, {**SMALL, "num_sources": 2}])
def test_what_was_written_for_nussl_reads_back(tmp_path: Path, section: dict[str, Any]) -> None:
    file = weight_file(tmp_path / "a.safetensors", section)
    NusslExchange().write(file, tmp_path / "out" / "a.pth")
    NusslExchange().read(tmp_path / "out" / "a.pth", tmp_path / "b.safetensors")
    song = noise(2, 2000)
    first, second = separator(file), separator(tmp_path / "b.safetensors")
    assert torch.equal(voice(first, song), voice(second, song))
    assert second.sample_rate == first.sample_rate


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_layers": 1, "bidirectional": False},
        {"num_sources": 2, "activation": "softmax"},
        {"num_audio_channels": 2, "activation": ["relu", "unit_norm"]},
        {"projection": 5, "head": 7, "floor": 1e-6},
        {"activation": "gated_tanh"},
    ],
)
def test_nussl_runs_what_was_written_for_it(
    nussl: ModuleType, tmp_path: Path, changes: dict[str, Any]
) -> None:
    section = {**SMALL, **changes}
    NusslExchange().write(weight_file(tmp_path / "a.safetensors", section), tmp_path / "a.pth")
    theirs, metadata = nussl.ml.SeparationModel.load(str(tmp_path / "a.pth"))
    theirs.eval()
    trainable = BLSTMTrainable(section)
    inputs = 0.1 * torch.rand(2, 40, 33, trainable.channels)
    with torch.inference_mode():
        made = theirs({"mix_magnitude": inputs})
        masks = network(trainable)(inputs)
    assert (made["mask"] - masks).abs().max() < 1e-5
    assert (made["estimates"] - inputs[..., None] * masks).abs().max() < 1e-6
    assert metadata["sample_rate"] == 8000


@pytest.mark.slow
def test_what_nussl_builds_is_read(nussl: ModuleType, tmp_path: Path) -> None:
    config = nussl.ml.networks.builders.build_recurrent_mask_inference(
        33, 6, 2, True, 0.3, 2, "sigmoid"
    )
    theirs = nussl.ml.SeparationModel(config)
    theirs(
        {"mix_magnitude": torch.rand(2, 40, 33, 1)}
    )  # so that the statistics are not those of nothing
    theirs.eval()
    theirs.save(str(tmp_path / "built.pth"))
    header = NusslExchange().read(tmp_path / "built.pth", tmp_path / "w.safetensors")
    inputs = 0.1 * torch.rand(2, 40, 33, 1)
    trainable = BLSTMTrainable(header["model"])
    mine = trainable.network().eval()
    container.load_into(mine, tmp_path / "w.safetensors")
    with torch.inference_mode():
        assert (theirs({"mix_magnitude": inputs})["mask"] - mine(inputs)).abs().max() < 1e-5


def test_a_wrong_config_is_one_line() -> None:
    for changes, words in (
        ({"objective": "beauty"}, "choose one of energy"),
        ({"window": "blackman"}, "choose one of hann"),
        ({"num_features": 100}, "has 33 bins"),
        ({"num_audio_channels": 5}, "1 or 2"),
        ({"activation": "swish"}, "choose of"),
        ({"dropout": 1.5}, "dropout is at least 0"),
    ):
        with pytest.raises(SepbenchError, match=words):
            small(**changes)


def test_weights_of_another_method_are_not_written(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    container.save(file, {"a": torch.zeros(1)}, {"method": "unet"})
    with pytest.raises(SepbenchError, match="weights of unet"):
        NusslExchange().write(file, tmp_path / "w.pth")


@pytest.fixture(scope="module")
def shipped() -> BLSTM:
    made = BLSTM()
    made.load(CPU)
    return made


def test_the_shipped_weights_say_what_they_are(shipped: BLSTM) -> None:
    assert shipped.weights_file.stat().st_size < 25e6
    assert container.digest(shipped.header["config"]) == shipped.header["config_sha256"]
    assert shipped.header["model"] == read_config("blstm", "default").model
    assert "medleydb/train" in shipped.trained_on
    assert not any(name.endswith(("/val", "/valid", "/test")) for name in shipped.trained_on)
    assert "CC-BY-NC-SA" in shipped.header["license"]


@pytest.mark.parametrize("examples", [{}, {"mixtures": "songs"}])
def test_a_way_to_nussl_and_back_keeps_level_license_and_training(
    tmp_path: Path, examples: dict[str, str]
) -> None:
    file = weight_file(tmp_path / "a.safetensors", SMALL)
    told = {"trained_on": ["a/train"], "songs": {"x": 3.0}, "sounds": ["s"], "license": "CC0-1.0"}
    header = container.read_header(file) | told | {"config": {"examples": examples}}
    container.save(file, load_file(file), header, half=False)
    NusslExchange().write(file, tmp_path / "a.pth")
    made = NusslExchange().read(tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert {key: made[key] for key in told} == told
    first, second = separator(file), separator(tmp_path / "b.safetensors")
    assert second.level == first.level == (None if examples else -20.0)


def test_provenance_that_is_no_table_is_one_line(tmp_path: Path) -> None:
    file = weight_file(tmp_path / "a.safetensors", SMALL)
    NusslExchange().write(file, tmp_path / "a.pth")
    content = torch.load(tmp_path / "a.pth", weights_only=True)
    for told in ("[", "[1]", 1):
        content["metadata"]["provenance"] = told
        torch.save(content, tmp_path / "b.pth")
        made = NusslExchange().read(tmp_path / "b.pth", tmp_path / "b.safetensors")
        assert made["trained_on"] == ["unknown"]
    for told in ({"trained_on": 1}, {"level": "loud"}, {"level": 3}):
        content["metadata"]["provenance"] = json.dumps(told)
        torch.save(content, tmp_path / "b.pth")
        with pytest.raises(SepbenchError, match=f"not written.*{next(iter(told))}"):
            NusslExchange().read(tmp_path / "b.pth", tmp_path / "c.safetensors")


def test_a_song_without_voice_stays_accompaniment(shipped: BLSTM) -> None:
    stems = repeating_song(4)
    backing = stems["drums"] + stems["bass"]
    assert sdr(backing, backing - voice(shipped, backing)) > 7


def test_both_channels_of_a_mono_song_come_out_as_one(shipped: BLSTM) -> None:
    mono = repeating_song(2)["vocals"][:1]
    two = voice(shipped, mono.repeat(2, 1))
    assert torch.allclose(two, voice(shipped, mono).repeat(2, 1), atol=1e-5)
