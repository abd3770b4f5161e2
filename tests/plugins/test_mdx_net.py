"""MDX-Net beside a reading of its description in numpy; the network is exported here."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx_files import exported, seeded
from songs import noise
from torch import nn

from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench_plugins.mdx_net import MdxNet
from sepbench_plugins.mdx_net.constants import uvr_digest

pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnx", reason="needs onnx, to export networks")

CPU = torch.device("cpu")


class Spectra(nn.Module):
    """Complex spectra as channels ``(b, c r, f, t)`` to the same, as in MDX-Net."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        return self.layer(spectra) * torch.sigmoid(spectra)


def numpy_chunk(chunk: np.ndarray, n_fft: int, bins: int, frames: int) -> np.ndarray:
    """What MDX-Net makes of a chunk of ``1024 (frames - 1)`` samples, in numpy."""
    hop, trim, size = 1024, n_fft // 2, chunk.shape[1]
    network, window = seeded(Spectra), np.hanning(n_fft + 1)[:-1]
    chunk = np.pad(chunk, ((0, 0), (trim, trim)), mode="reflect")
    starts = range(0, size + 1, hop)
    spectrum = np.stack([np.fft.rfft(chunk[:, s : s + n_fft] * window) for s in starts], -1)
    kept = spectrum[:, :bins].copy()
    kept[:, :3] = 0
    fed = np.stack([kept[0].real, kept[0].imag, kept[1].real, kept[1].imag])[None]
    with torch.inference_mode():
        out = network(torch.from_numpy(fed.astype(np.float32)))[0].numpy()
    full = np.zeros((2, n_fft // 2 + 1, frames), complex)
    full[:, :bins] = out[[0, 2]] + 1j * out[[1, 3]]
    wave, weight = np.zeros((2, size + n_fft)), np.zeros(size + n_fft)
    for index, start in enumerate(starts):
        wave[:, start : start + n_fft] += np.fft.irfft(full[..., index]) * window
        weight[start : start + n_fft] += window**2
    return wave[:, trim:-trim] / np.maximum(weight[trim:-trim], 1e-11)


def numpy_mdx(
    mixture: np.ndarray, n_fft: int, bins: int, frames: int, overlap: float = 0.0
) -> np.ndarray:
    """MDX-Net as UVR runs it, without overlap as at first, read from its description, in numpy."""
    samples, trim, size = mixture.shape[1], n_fft // 2, 1024 * (frames - 1)
    inside = size - 2 * trim
    step = int((1 - overlap) * size) if overlap else inside
    padded = np.pad(mixture, ((0, 0), (trim, inside + trim - samples % inside)))
    made, weight = np.zeros((2, padded.shape[1] + size)), np.zeros(padded.shape[1] + size)
    for first in range(0, padded.shape[1], step):
        chunk = padded[:, first : first + size]
        there = chunk.shape[1]
        wave = numpy_chunk(np.pad(chunk, ((0, 0), (0, size - there))), n_fft, bins, frames)
        window = np.hanning(there) if overlap else (np.arange(size) // trim > 0) * 1.0
        if not overlap:
            window[size - trim :] = 0
        made[:, first : first + there] += (wave * np.pad(window, (0, size - len(window))))[
            :, :there
        ]
        weight[first : first + there] += window[:there]
    return (made / np.maximum(weight, 1e-11))[:, trim : trim + samples]


@pytest.fixture(scope="module")
def mdx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mdx") / "Test.onnx"
    exported(seeded(Spectra), torch.zeros(1, 4, 1024, 16), path)
    return path


def mdx_net(path: Path, **options: object) -> MdxNet:
    values = {"stem": "vocals", "n_fft": 4096, "bins": 1024, "frames": 16, "compensate": 1.02}
    separator = MdxNet(MdxNet.Options(file=str(path), **{**values, **options}))
    runner.load(separator, CPU)
    return separator


def test_mdx_net_is_as_uvr_by_a_reading_in_numpy(mdx: Path) -> None:
    mixture = 0.1 * noise(2, 40_000)
    made = mdx_net(mdx).separate(mixture)
    expected = numpy_mdx(mixture.numpy().astype(float), 4096, 1024, 16)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(made["vocals"].numpy(), expected, rtol=0, atol=1e-5)
    rest = mixture - 1.02 * made["vocals"]
    torch.testing.assert_close(made["accompaniment"], rest)


def test_overlapping_chunks_begin_where_those_of_uvr_do(mdx: Path) -> None:
    mixture = 0.1 * noise(2, 50_000)
    made = mdx_net(mdx, overlap=0.25).separate(mixture)["vocals"].numpy()
    expected = numpy_mdx(mixture.numpy().astype(float), 4096, 1024, 16, overlap=0.25)
    # UVR shortens the window of a chunk that is not full, at the end of the song.
    whole = slice(0, 50_000 - 1024 * 15)
    np.testing.assert_allclose(made[:, whole], expected[:, whole], rtol=0, atol=1e-5)
    other = mdx_net(mdx, overlap=0.25)
    other.card = dataclasses.replace(other.card, lead=None)
    runner.load(other, CPU)
    moved = other.separate(mixture)["vocals"].numpy()
    assert np.abs(moved[:, whole] - expected[:, whole]).max() > 1e-3


def test_denoising_takes_out_what_does_not_turn_with_the_sign(mdx: Path) -> None:
    mixture = 0.1 * noise(2, 20_000)
    plain, negative = mdx_net(mdx).separate(mixture), mdx_net(mdx).separate(-mixture)
    made = mdx_net(mdx, denoise=True).separate(mixture)["vocals"]
    torch.testing.assert_close(made, (plain["vocals"] - negative["vocals"]) / 2)


def test_a_song_at_any_level_is_given_at_peak_one(mdx: Path) -> None:
    mixture = noise(2, 20_000)
    loud, soft = (
        mdx_net(mdx, scale=True).separate(level * mixture)["vocals"] for level in (1, 0.1)
    )
    torch.testing.assert_close(soft, 0.1 * loud, rtol=0, atol=1e-6)
    assert mdx_net(mdx, scale=True).context is None


def test_a_known_file_needs_no_constants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sepbench_plugins.mdx_net import constants

    file = tmp_path / "known.onnx"
    file.write_bytes(b"x" * 10_240_007)
    assert uvr_digest(file) == uvr_digest(file)
    key = "77d07b2667ddf05b9e3175941b4454a0"
    monkeypatch.setattr(constants, "uvr_digest", lambda path: key)
    known = MdxNet(MdxNet.Options(file=str(file))).constants
    assert (known.stem, known.n_fft, known.bins, known.frames) == ("vocals", 7680, 3072, 256)
    assert known.compensate == 1.021
    assert known.card(0.0).size == 261_120
    assert known.card(0.0).step == 261_120 - 7680
    other = MdxNet(MdxNet.Options(file=str(file), compensate=1.5)).constants
    assert (other.n_fft, other.compensate) == (7680, 1.5)


def test_uvr_hashes_the_end_of_a_file_alone(tmp_path: Path) -> None:
    for name, start in {"a": b"1", "b": b"2"}.items():
        (tmp_path / name).write_bytes(start + bytes(10_240_000))
    assert uvr_digest(tmp_path / "a") == uvr_digest(tmp_path / "b")


def test_a_file_that_nobody_knows_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")
    with pytest.raises(SepbenchError, match=r"not a known network.*give stem=VALUE, n_fft"):
        MdxNet(MdxNet.Options(file=str(tmp_path / "x.onnx"))).stems  # noqa: B018
    with pytest.raises(SepbenchError, match="no such network"):
        MdxNet(MdxNet.Options(file="nowhere.onnx")).stems  # noqa: B018
