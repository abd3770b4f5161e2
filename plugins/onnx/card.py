"""Cards of ONNX networks: transform, axes, chunks and stems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sepbench.errors import SepbenchError
from sepbench.separator import UNKNOWN_TRAINING
from sepbench.weights.card import check_least, fill, read_mapping

from .axes import NAMES, groups

Content = Literal["waveform", "magnitude", "complex", "mask"]


@dataclass(frozen=True)
class Transform:
    """The short-time Fourier transform, centred, with a periodic Hann window."""

    n_fft: int
    hop: int
    bins: int | None = None
    """Number of lowest bins in the network's input; None: all. Other bins become silent."""
    silent_bins: int = 0
    """Number of lowest bins set to zero before the network."""
    pad: Literal["reflect", "zeros"] = "reflect"


@dataclass(frozen=True)
class Port:
    """An input or output: its content and the order of its dimensions; see `axes`."""

    content: Content
    axes: str
    name: str = ""


@dataclass(frozen=True)
class Card:
    """One network; the fields are the keys of its YAML.

    ``chunk`` is the input length in frames, or in samples for waveforms. ``overlap`` is the overlap
    of chunks as a share of a chunk; ``trim`` is discarded at both ends of a chunk, in samples. The
    first chunk begins ``lead`` samples before the song; by default so that every sample is in the
    same number of chunks.
    """

    model: str
    stems: tuple[str, ...]
    chunk: int
    input: Port
    output: Port
    stft: Transform | None = None
    rate: int = 44_100
    channels: Literal[1, 2] = 2
    remainder: str | None = None
    overlap: float = 0.0
    trim: int = 0
    window: Literal["flat", "hann"] = "flat"
    lead: int | None = None
    sha256: str = ""
    license: str = "LicenseRef-not-stated"
    citation: str = "not stated"
    trained_on: tuple[str, ...] = UNKNOWN_TRAINING

    @property
    def size(self) -> int:
        """Samples of a chunk."""
        return self.chunk if self.stft is None else self.stft.hop * (self.chunk - 1)

    @property
    def step(self) -> int:
        """Samples from one chunk to the next."""
        return max(1, int((1 - self.overlap) * (self.size - 2 * self.trim)))

    @property
    def first(self) -> int:
        """Samples by which the first chunk begins before the song."""
        if self.lead is not None:
            return self.lead
        return self.trim if self.overlap == 0 else self.size - self.step


def read(path: Path) -> Card:
    """Return the card in a YAML file, with an absolute path of its model.

    Raises `SepbenchError` for an inconsistent card.
    """
    name = str(path)
    values = read_mapping(path, name)
    card = fill(Card, values, name)
    check(card, name)
    model = path.absolute().parent / card.model
    return fill(Card, {**values, "model": str(model)}, name)


def _needed(card: Card, port: str) -> str:
    """Return the axes that have more than one value in an input or output."""
    content = getattr(card, port).content
    several = {
        "s": port == "output" and len(card.stems) > 1,
        "c": card.channels > 1,
        "r": content == "complex",
        "f": content != "waveform",
        "t": True,
    }
    return "".join(axis for axis, is_needed in several.items() if is_needed)


def _rules(stft: Transform, card: Card) -> dict[str, bool]:
    """Return the rules for the transform of a card, and whether they hold."""
    most = stft.n_fft // 2 + 1
    return {
        "hop and n_fft must be above 0, hop at most half of n_fft": 0 < 2 * stft.hop <= stft.n_fft,
        # Otherwise a chunk would have one frame less than the card says.
        "n_fft must be even": stft.n_fft % 2 == 0,
        f"bins must be from 1 to {most}, which n_fft gives": (
            stft.bins is None or 1 <= stft.bins <= most
        ),
        "silent_bins must be from 0 to less than bins": 0 <= stft.silent_bins < (stft.bins or most),
        "a chunk must be longer than half of n_fft": (stft.hop <= 0 or card.size > stft.n_fft // 2),
        "a waveform output requires a waveform input; remove stft": (
            card.input.content == "waveform" or card.output.content != "waveform"
        ),
    }


def check(card: Card, name: str) -> None:
    """Raise `SepbenchError` for an inconsistent card."""
    check_least({"rate >= 1000": card.rate, "chunk >= 1": card.chunk, "trim >= 0": card.trim}, name)
    if not 0 <= card.overlap <= 0.95:  # The positions of chunks follow from it.
        raise SepbenchError(f"{name}: overlap must be from 0 to 0.95")
    for port in ("input", "output"):
        try:
            groups(getattr(card, port).axes)
        except SepbenchError as error:
            raise SepbenchError(f"{name}: {port}: {error}") from None
        if missing := [
            axis for axis in _needed(card, port) if axis not in getattr(card, port).axes
        ]:
            axes = " and ".join(f"{axis} ({NAMES[axis]})" for axis in missing)
            raise SepbenchError(f"{name}: {port}: axes {getattr(card, port).axes!r} lack {axes}")
    rules = {
        "stems must not be empty": bool(card.stems),
        "the input cannot be a mask": card.input.content != "mask",
        "stft is missing; only waveforms need none": (
            card.stft is not None or {card.input.content, card.output.content} == {"waveform"}
        ),
        "a waveform input requires a waveform output; remove stft": (
            card.stft is None or card.input.content != "waveform"
        ),
        **(_rules(card.stft, card) if card.stft is not None else {}),
        "trim must be less than half a chunk": 0 <= 2 * card.trim < card.size,
        # Otherwise the start of the song would be only in the discarded part of the first chunk.
        "lead must be from trim to less than a chunk": (
            card.trim <= card.first < max(1, card.size)
        ),
    }
    for rule, holds in rules.items():
        if not holds:
            raise SepbenchError(f"{name}: {rule}")
