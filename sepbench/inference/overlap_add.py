"""Feeds a separator the whole song or overlapping blocks, with the channels it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sepbench.errors import MethodError, SepbenchError, describe
from sepbench.options import variant_name
from sepbench.separator import AnySeparator, in_samples, without_remainder
from sepbench.stems import in_order, is_stem_name

if TYPE_CHECKING:
    import torch

Samples: TypeAlias = NDArray[np.float32]
"""``(channels, samples)``."""

BLOCK_SECONDS = 45.0
"""Length of a block for a separator with finite context, without the context.

The context (7 to 12 s to each side for networks) is processed again with every block: blocks of
30 s take 10 to 20 % longer than blocks of 45 s. Longer ones gain little and need more memory.
"""

FADE_SECONDS = 0.1
"""The cross-fade between blocks."""

# torch raises a plain RuntimeError, with a different message on each device.
_OUT_OF_MEMORY = re.compile("out of memory|not enough memory|can't allocate memory", re.IGNORECASE)


@dataclass(frozen=True)
class Chunk:
    """A part of a song: the mixture, and the other inputs of the separator.

    Shape:
        mixture: ``(channels, samples)``.
        each of ``given``: ``(..., channels, samples)``, by stem: the references for an oracle, the
            estimates of all members for an ensemble.
    """

    mixture: Samples
    given: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Samples."""
        return int(self.mixture.shape[-1])

    def each(self, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Chunk:
        """Return the chunk with every array changed in the same way."""
        return Chunk(change(self.mixture), {name: change(a) for name, a in self.given.items()})

    def cut(self, start: int, stop: int | None = None) -> Chunk:
        """Return a part, as views of the same samples."""
        return self.each(lambda array: array[..., start:stop])


def in_blocks(
    separator: AnySeparator,
    chunks: Iterable[Chunk],
    rate: int,
    device: torch.device,
    *,
    block_seconds: float | None = None,
) -> Iterator[dict[str, Samples]]:
    """Separate block by block with context and cross-fade, or all at once.

    Yields the stems in pieces ``(channels, n)`` that join without a gap. ``rate`` is in Hz. Blocks
    are ``block_seconds`` long without context, by default `BLOCK_SECONDS`. Raises `MethodError` if
    the separator fails or returns something other than its stems.
    """
    if separator.block_context is None:
        yield _apply(separator, join_chunks(list(chunks)), device)
        return
    seconds = BLOCK_SECONDS if block_seconds is None else block_seconds
    step = _aligned(seconds * rate, separator.block_alignment)
    context = _aligned(in_samples(separator.block_context, rate), separator.block_alignment)
    fade = round(FADE_SECONDS * rate)
    fade_out = np.linspace(1, 0, fade, endpoint=False, dtype=np.float32)
    fading: dict[str, Samples] = {}
    before = 0
    for block, is_last in _windows(chunks, step, context, fade):
        stop = None if is_last else before + step + fade
        with separator.keeping(slice(before, stop)):
            stems = _apply(separator, block, device)
        # `block` begins `before` samples ahead of its wanted part.
        wanted = {
            name: stem[:, before:] if is_last else stem[:, before:stop].copy()
            for name, stem in stems.items()
        }
        for name, tail in fading.items():
            head = wanted[name][:, :fade]
            head += fade_out * (tail - head)
        before = min(context, before + step)
        if is_last:
            yield wanted
        else:
            fading = {name: stem[:, step:].copy() for name, stem in wanted.items()}
            ready = {name: stem[:, :step] for name, stem in wanted.items()}
            # A name would keep its arrays in memory while the next block is separated.
            del stems, wanted
            yield ready
            del ready


def _windows(
    chunks: Iterable[Chunk], step: int, context: int, fade: int
) -> Iterator[tuple[Chunk, bool]]:
    """Yield each block with its context, and whether it is the last.

    Block k covers the samples from ``k step`` to ``(k + 1) step + fade``; the last all the rest.
    """
    source = iter(chunks)
    pieces: list[Chunk] = []
    held, start, position, exhausted = 0, 0, 0, False
    while True:
        while not exhausted and start + held <= position + step + fade + context:
            chunk = next(source, None)
            if chunk is None:
                exhausted = True
            else:
                pieces.append(chunk)
                held += chunk.length
        buffer = join_chunks(pieces)
        pieces = [buffer]
        is_last = exhausted and start + held <= position + step + fade
        yield buffer.cut(0, position + step + fade + context - start), is_last
        if is_last:
            return
        position += step
        dropped = max(0, position - context) - start
        start += dropped
        held -= dropped
        pieces = [buffer.cut(dropped)]


def _apply(separator: AnySeparator, chunk: Chunk, device: torch.device) -> dict[str, Samples]:
    """Call a separator with the channels it takes; return its stems after a check."""
    import torch

    if separator.needs_references and not chunk.given:
        raise MethodError(
            _label(separator),
            "is an oracle: it needs the true stems, so it runs in 'sepbench evaluate' alone",
        )

    def own(array: NDArray[np.float32]) -> torch.Tensor:
        # A copy, as the separator might write to it.
        return torch.from_numpy(array).to(device, copy=True)

    parts = []
    with torch.inference_mode(), named(separator):
        for fed in _feeds(chunk, separator.channels):
            given = {name: own(array) for name, array in fed.given.items()}
            stems = separator.process(own(fed.mixture), given)
            parts.append(_checked(separator, stems, fed.mixture.shape))
    channels = len(chunk.mixture)
    if len(parts) == 1 and len(next(iter(parts[0].values()))) == channels:
        return parts[0]
    return {name: _unfed([part[name] for part in parts], channels) for name in parts[0]}


def _feeds(chunk: Chunk, wanted: int | None) -> list[Chunk]:
    """Split channels into the groups a separator takes; a single channel is doubled for a pair."""
    channels = len(chunk.mixture)
    if wanted is None or wanted == channels:
        return [chunk]
    firsts = range(0, channels, wanted)
    groups = [
        np.resize(np.arange(first, min(first + wanted, channels)), wanted) for first in firsts
    ]
    return [chunk.each(lambda array, group=group: array[..., group, :]) for group in groups]  # type: ignore[misc]


def _unfed(parts: list[Samples], channels: int) -> Samples:
    """Undo `_feeds`: a doubled channel is the mean of both results."""
    size = parts[0].shape[0]
    lone = channels % size
    if lone:
        parts = [*parts[:-1], parts[-1].mean(axis=0, keepdims=True)]
    return np.concatenate(parts, axis=0)


def _checked(
    separator: AnySeparator, stems: Mapping[str, torch.Tensor], shape: tuple[int, ...]
) -> dict[str, Samples]:
    """Return the stems as arrays, after a check against the separator's declaration.

    An oracle makes those of its stems that have references.
    """
    if (wrong := wrong_kind(stems)) is not None:
        raise MethodError(_label(separator), f"returned {wrong}")
    expected = without_remainder(separator)
    fits = (
        all(map(is_stem_name, stems)) if separator.needs_references else set(stems) == set(expected)
    )
    if not stems or not fits:
        raise MethodError(
            _label(separator), f"returned the stems {sorted(stems)}, expected {expected}"
        )
    checked = {}
    for name in in_order(stems):
        stem = stems[name].detach().float().cpu().numpy()
        if stem.shape != shape:
            raise MethodError(
                _label(separator), f"returned {name} of shape {stem.shape}, expected {shape}"
            )
        # Minimum and maximum propagate NaN and infinity without allocating a mask.
        if stem.size and not (np.isfinite(stem.min()) and np.isfinite(stem.max())):
            raise MethodError(_label(separator), f"returned NaN or infinity in {name}")
        checked[name] = stem
    return checked


def wrong_kind(stems: Any) -> str | None:
    """Return what is wrong with the types of a separator's result, or None."""
    import torch

    if not isinstance(stems, Mapping):
        return f"{type(stems).__name__}, expected a dict of tensors by stem"
    for name, stem in stems.items():
        if not isinstance(name, str):
            return f"a stem named {name!r}, expected a text"
        if not isinstance(stem, torch.Tensor):
            cure = "; write torch.from_numpy(stem)" if isinstance(stem, np.ndarray) else ""
            return f"{name} of type {type(stem).__name__}, expected a torch.Tensor{cure}"
        if stem.is_complex():
            return f"{name} of complex numbers, expected float32; write stem.real"
        if not stem.is_floating_point():  # Its full scale is not known: 1, 127 or 32768.
            kind = str(stem.dtype).removeprefix("torch.")
            return f"{name} of {kind}, expected float32 with full scale 1"
    return None


@contextmanager
def named(separator: AnySeparator) -> Iterator[None]:
    """Convert a separator's exception to one line with its name."""
    try:
        yield
    except SepbenchError:
        raise
    except (Exception, SystemExit) as error:
        reason = describe(error)
        if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(reason):
            cure = "try --duration or --device cpu"
            raise MethodError(_label(separator), f"ran out of memory; {cure}") from error
        raise MethodError(_label(separator), reason) from error


def _label(separator: AnySeparator) -> str:
    return variant_name(separator.name, separator.options)


def _aligned(samples: float, alignment: int) -> int:
    """Round up to a multiple of ``alignment``, ignoring fractions of a sample."""
    return int(-(-round(samples) // alignment)) * alignment


def join(pieces: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the pieces ``(..., n)`` end to end; a single one is not copied."""
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=-1)


def join_chunks(chunks: list[Chunk]) -> Chunk:
    """Return the chunks end to end; a single one is not copied."""
    first = chunks[0]
    if len(chunks) == 1:
        return first
    given = {name: join([chunk.given[name] for chunk in chunks]) for name in first.given}
    return Chunk(join([chunk.mixture for chunk in chunks]), given)
