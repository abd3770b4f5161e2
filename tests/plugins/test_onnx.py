"""Networks of ONNX beside torch and beside plain numpy; the networks are exported here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from onnx_files import exported, seeded
from songs import noise, repeating_song
from torch import nn

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench_plugins.onnx import Onnx
from sepbench_plugins.onnx.axes import ORDER, groups, pack, unpack

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnx", reason="needs onnx, to export networks")

CPU = torch.device("cpu")
RATE = 44_100
N_FFT, HOP, FRAMES = 512, 128, 33
BINS = N_FFT // 2 + 1


class Masks(nn.Module):
    """Magnitudes ``(b, c, f, t)`` to masks of two stems ``(b, s, c, f, t)``."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 4, 3, padding=1)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        masks = torch.sigmoid(self.layer(magnitudes))
        return masks.reshape(masks.shape[0], 2, 2, *masks.shape[2:])


class Waves(nn.Module):
    """Waveforms ``(b, c, t)`` to those of two stems ``(b, s c, t)``."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(2, 4, 9, padding=4)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(waves))


CARDS = {
    "mask": {
        "chunk": FRAMES,
        "stft": {"n_fft": N_FFT, "hop": HOP},
        "input": {"content": "magnitude", "axes": "bcft"},
        "output": {"content": "mask", "axes": "bscft"},
        "trim": N_FFT,
    },
    "waveform": {
        "chunk": 4096,
        "input": {"content": "waveform", "axes": "bct"},
        "output": {"content": "waveform", "axes": "b(sc)t"},
        "overlap": 0.5,
        "window": "hann",
    },
}


def card(folder: Path, kind: str, **changes: object) -> Path:
    """Export a network and write its card."""
    network, example = {
        "mask": (Masks, torch.zeros(1, 2, BINS, FRAMES)),
        "waveform": (Waves, torch.zeros(1, 2, 4096)),
    }[kind]
    exported(seeded(network), example, folder / "network.onnx")
    values = {
        "model": "network.onnx",
        "stems": ["vocals", "accompaniment"],
        "license": "MIT",
        "citation": "none",
        **CARDS[kind],
        **changes,
    }
    (folder / "card.yaml").write_text(
        yaml.safe_dump({k: v for k, v in values.items() if v is not None}, sort_keys=False)
    )
    return folder / "card.yaml"


def loaded(path: Path) -> Onnx:
    separator = Onnx(Onnx.Options(file=str(path)))
    runner.load(separator, CPU)
    return separator


def song(seconds: float) -> torch.Tensor:
    parts = sum(repeating_song(seconds).values())
    return torch.cat([parts, 0.7 * parts.roll(99, -1)])[:2]


def test_masks_are_those_of_torch(tmp_path: Path) -> None:
    mixture, network = noise(2, 20_000), seeded(Masks)
    made = loaded(card(tmp_path, "mask")).separate(mixture)
    # The same maths, chunk by chunk, in torch alone.
    size, trim = HOP * (FRAMES - 1), N_FFT
    step = size - 2 * trim
    window = torch.hann_window(N_FFT)
    expected = torch.zeros(2, 2, 30_000)
    padded = nn.functional.pad(mixture, (trim, 30_000))
    for first in range(0, 20_000, step):
        chunk = padded[:, first : first + size]
        spectrum = torch.stft(chunk, N_FFT, HOP, window=window, return_complex=True)
        with torch.inference_mode():
            masks = network(spectrum.abs()[None])[0]
        for stem, masked in enumerate(masks * spectrum):
            wave = torch.istft(masked, N_FFT, HOP, window=window, length=size)
            expected[stem, :, first : first + step] = wave[:, trim:-trim]
    for stem, wave in zip(("vocals", "accompaniment"), expected, strict=True):
        torch.testing.assert_close(made[stem], wave[:, :20_000], rtol=0, atol=1e-5)


def test_waveforms_are_those_of_torch(tmp_path: Path) -> None:
    mixture = noise(2, 30_000)
    made = loaded(card(tmp_path, "waveform")).separate(mixture)
    with torch.inference_mode():
        expected = seeded(Waves)(mixture[None])[0].view(2, 2, -1)
    # Away from the edges of chunks, where the network sees zeros, all chunks agree.
    assert (made["vocals"] - expected[0]).abs().mean() < 1e-3
    inside = loaded(card(tmp_path, "waveform", overlap=0.0, window="flat", trim=8))
    made = inside.separate(mixture)
    for stem, wave in zip(("vocals", "accompaniment"), expected, strict=True):
        torch.testing.assert_close(made[stem][:, 8:-8], wave[:, 8:-8], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["mask", "waveform"])
def test_blocks_are_as_the_whole_song(tmp_path: Path, kind: str) -> None:
    separator = loaded(card(tmp_path, kind))
    mixture = noise(2, 8 * RATE).numpy()
    whole = {
        stem: wave.numpy() for stem, wave in separator.separate(torch.from_numpy(mixture)).items()
    }
    made = runner.separate(separator, mixture, rate=RATE, device=CPU, block_seconds=1.0).stems
    for stem in whole:
        np.testing.assert_allclose(made[stem], whole[stem], rtol=0, atol=1e-6)


def test_chunks_in_the_context_of_blocks_alone_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    separator = loaded(card(tmp_path, "waveform"))
    chunks, apply = [], separator._network.apply
    monkeypatch.setattr(
        separator._network, "apply", lambda part: chunks.extend(part) or apply(part)
    )
    mixture = noise(2, 60_000)
    separator.separate(mixture)
    whole = len(chunks)
    size, step = separator.card.size, separator.card.step
    seconds = 4 * size / RATE
    runner.separate(separator, mixture.numpy(), rate=RATE, device=CPU, block_seconds=seconds)
    # At a seam those that reach over it, and over the cross-fade, are computed twice.
    seams = -(-60_000 // (4 * size)) - 1
    assert len(chunks) - whole <= whole + seams * (size + RATE // 10) / step + seams


def test_a_network_of_one_batch_size_alone_is_given_that(tmp_path: Path) -> None:
    path = card(tmp_path, "waveform")
    mixture = noise(2, 9_000)
    expected = loaded(path).separate(mixture)["vocals"]
    exported(seeded(Waves), torch.zeros(3, 2, 4096), tmp_path / "network.onnx", dynamic=False)
    torch.testing.assert_close(loaded(path).separate(mixture)["vocals"], expected)


@pytest.mark.parametrize("text", ["bscrft", "b(cr)ft", "btf(sc)", "b(scr)ft", "(bc)ft"])
def test_axes_come_back(text: str) -> None:
    named = "".join(groups(text))
    sizes = {axis: 2 + index if axis in named else 1 for index, axis in enumerate(ORDER)}
    tensor = torch.randn(
        [sizes[axis] for axis in ORDER], generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(unpack(pack(tensor, text), text, sizes), tensor)


def test_a_network_may_take_one_chunk_at_a_time(tmp_path: Path) -> None:
    """Its two channels are not taken for a batch of two."""
    size = 1000
    exported(nn.Tanh(), torch.zeros(2, size), tmp_path / "tanh.onnx", dynamic=False)
    port = {"content": "waveform", "axes": "ct"}
    card = {"model": "tanh.onnx", "stems": ["vocals"], "chunk": size, "input": port, "output": port}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card))
    song = noise(2, 5 * size)
    made = loaded(tmp_path / "card.yaml").separate(song)["vocals"]
    assert torch.allclose(made, song.tanh(), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stmes": []}, "card.yaml: no key 'stmes'; did you mean 'stems'?"),
        ({"stft": None}, "card.yaml: stft is missing; only waveforms need none"),
        ({"chunk": 50}, "input is (batch, 2, 257, 33), by the card (4, 2, 257, 50): axes, stft,"),
        ({"stems": ["vocals"]}, "output is (4, 2, 2, 257, 33), by the card (4, 1, 2, 257, 33)"),
        ({"overlap": 1.0}, "card.yaml: overlap must be from 0 to 0.95"),
        ({"overlap": float("nan")}, "card.yaml: overlap must be from 0 to 0.95"),
        ({"stft": {"n_fft": 512, "hop": 512}}, "card.yaml: hop and n_fft must be above 0, hop at"),
        ({"stft": {"n_fft": 511, "hop": 128}}, "card.yaml: n_fft must be even"),
        ({"lead": N_FFT - 1}, "card.yaml: lead must be from trim to less than a chunk"),
        ({"stft": {"n_fft": 512, "hop": 128, "bins": 0}}, "card.yaml: bins must be from 1 to 257"),
        (
            {"stft": {"n_fft": 512, "hop": 128, "silent_bins": 257}},
            "card.yaml: silent_bins must be from 0 to less than bins",
        ),
        (
            {"stft": {"n_fft": 512, "hop": 128, "silent_bins": -1}},
            "card.yaml: silent_bins must be from 0 to less than bins",
        ),
        ({"stft": {"n_fft": 512, "hop": 8}}, "card.yaml: a chunk must be longer than half of"),
        (
            {"output": {"content": "waveform", "axes": "bsct"}},
            "card.yaml: a waveform output requires a waveform input",
        ),
        (
            {"model": "nothing.onnx"},
            "nothing.onnx: no such model; 'model' is a path relative to the",
        ),
        ({"model": "card.yaml"}, "card.yaml: not a model that onnxruntime can run"),
        ({"sha256": "00"}, "network.onnx: not the model of its card: its sha256 is "),
        (
            {"output": {"content": "mask", "axes": "bcft"}},
            "card.yaml: output: axes 'bcft' lack s (stem)",
        ),
        (
            {"input": {"content": "magnitude", "axes": "bft"}},
            "card.yaml: input: axes 'bft' lack c (channel)",
        ),
        (
            {"input": {"content": "magnitude", "axes": "bcfx"}},
            "card.yaml: input: axes 'bcfx': write each",
        ),
        (
            {"output": {"content": "mask", "axes": "bscft", "name": "masks"}},
            "its outputs are output;",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SepbenchError) as caught:
        loaded(card(tmp_path, "mask", **changes)).separate(noise(2, 20_000))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_model_is_another_identity(tmp_path: Path) -> None:
    def identity() -> object:
        (method,) = registry.resolve(f"onnx[{path}]")
        return method.identity["provenance"]

    path = card(tmp_path, "mask")
    before = identity()
    exported(
        seeded(Masks), torch.ones(1, 2, BINS, FRAMES), tmp_path / "network.onnx", dynamic=False
    )
    assert identity() != before


@pytest.mark.parametrize("name", ["network.onnx.data", "w" * 200])
def test_tensors_in_a_file_of_their_own_are_part_of_the_identity(tmp_path: Path, name: str) -> None:
    import onnx

    def identity(spec: str) -> object:
        (method,) = registry.resolve(spec)
        return method.identity["provenance"]

    path, model = card(tmp_path, "waveform"), tmp_path / "network.onnx"
    constants = "stem=vocals,n_fft=4096,bins=1024,frames=16,compensate=1"
    specs = (f"onnx[{path}]", f"mdx-net[{model},{constants}]")
    assert "tensors" not in str([identity(spec) for spec in specs])
    onnx.save_model(
        onnx.load(model), model, save_as_external_data=True, location=name, size_threshold=0
    )
    before, made = [identity(spec) for spec in specs], loaded(path).separate(noise(2, 9_000))
    values = np.frombuffer((tmp_path / name).read_bytes(), np.float32)
    (tmp_path / name).write_bytes((2 * values).tobytes())
    assert not torch.equal(loaded(path).separate(noise(2, 9_000))["vocals"], made["vocals"])
    assert all(identity(spec) != old for spec, old in zip(specs, before, strict=True))


class Halves(nn.Module):
    """Two stems of half the song."""

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        return torch.cat([waves / 2, waves / 2], dim=1)


@pytest.mark.parametrize("kind", [torch.float16, torch.float64])
def test_a_network_is_given_numbers_of_its_precision(tmp_path: Path, kind: torch.dtype) -> None:
    path = card(tmp_path, "waveform", overlap=0.0, window="flat")
    exported(Halves(), torch.zeros(1, 2, 4096, dtype=kind), tmp_path / "network.onnx")
    song = 0.1 * noise(2, 9_000)
    made = loaded(path).separate(song)["vocals"]
    torch.testing.assert_close(made, song / 2, rtol=0, atol=1e-4)
    exported(Halves(), torch.zeros(1, 2, 4096, dtype=torch.int64), tmp_path / "network.onnx")
    with pytest.raises(SepbenchError, match=r"input is a tensor\(int64\); export it for floating"):
        loaded(path)
