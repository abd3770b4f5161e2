"""Feeds a separator: the whole song or blocks with surround, and as many channels as it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sepbench.audio import resample
from sepbench.errors import SepbenchError
from sepbench.separator import EnsembleSeparator, OracleSeparator, Separator
from sepbench.stems import in_order, is_stem_name

if TYPE_CHECKING:
    import torch

Samples: TypeAlias = NDArray[np.float32]
"""``(channels, samples)``."""

BLOCK_SECONDS = 30.0
"""How much of a song a separator with finite context is given at once, its surround apart."""

FADE_SECONDS = 0.1
"""The cross-fade between blocks."""

# torch says it with a plain RuntimeError, in other words on each device.
_OUT_OF_MEMORY = re.compile("out of memory|not enough memory|can't allocate memory", re.IGNORECASE)


def in_blocks(
    separator: Separator,
    chunks: Iterable[Samples],
    rate: int,
    device: torch.device,
    references: Mapping[str, Samples] | None,
    references_rate: int,
) -> Iterator[dict[str, Samples]]:
    """Separate block by block with surround and cross-fade, or all at once.

    To an ensemble the chunks bring its members' stems below the mixture: see `_unstacked`.
    """
    context = separator.context
    if isinstance(separator, EnsembleSeparator):
        context = separator.reach  # The members have had their surround.
    if context is None or isinstance(separator, OracleSeparator):
        if references is not None and references_rate != rate:
            references = {
                name: resample(stem, references_rate, rate) for name, stem in references.items()
            }
        yield _apply(separator, join(list(chunks)), device, references)
        return
    step = _on_grid(BLOCK_SECONDS * rate, separator.grid)
    surround = _on_grid(context * rate, separator.grid)
    fade = round(FADE_SECONDS * rate)
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    fading: dict[str, Samples] = {}
    before = 0
    for block, is_last in _windows(chunks, step, surround, fade):
        stems = _apply(separator, block, device, None)
        # `block` begins `before` samples ahead of the part that is wanted of it.
        wanted = {
            name: stem[:, before:] if is_last else stem[:, before : before + step + fade].copy()
            for name, stem in stems.items()
        }
        for name, tail in fading.items():
            head = wanted[name][:, :fade]
            head += ramp * (tail - head)
        before = min(surround, before + step)
        if is_last:
            yield wanted
        else:
            fading = {name: stem[:, step:] for name, stem in wanted.items()}
            yield {name: stem[:, :step] for name, stem in wanted.items()}


def _windows(
    chunks: Iterable[Samples], step: int, surround: int, fade: int
) -> Iterator[tuple[Samples, bool]]:
    """Yield each block with its surround, and whether it is the last.

    Block k wants the samples from ``k step`` to ``(k + 1) step + fade``; the last all there are.
    """
    source = iter(chunks)
    pieces: list[Samples] = []
    held, start, position, exhausted = 0, 0, 0, False
    while True:
        while not exhausted and start + held <= position + step + fade + surround:
            chunk = next(source, None)
            if chunk is None:
                exhausted = True
            else:
                pieces.append(chunk)
                held += chunk.shape[1]
        buffer = join(pieces)
        is_last = exhausted and start + held <= position + step + fade
        yield buffer[:, : position + step + fade + surround - start], is_last
        if is_last:
            return
        position += step
        dropped = max(0, position - surround) - start
        start += dropped
        held -= dropped
        pieces = [buffer[:, dropped:]]


def _apply(
    separator: Separator,
    samples: Samples,
    device: torch.device,
    references: Mapping[str, Samples] | None,
) -> dict[str, Samples]:
    """Feed a separator as many channels as it takes; return its stems, checked."""
    import torch

    channels = samples.shape[0]
    with torch.inference_mode(), named(separator):
        if isinstance(separator, OracleSeparator):
            if references is None:
                raise SepbenchError(
                    f"method {separator.name} is an oracle: it needs the true stems, "
                    "so it runs in 'sepbench evaluate' alone"
                )
            truth = {name: torch.from_numpy(stem).to(device) for name, stem in references.items()}
            stems = separator.separate_knowing(torch.from_numpy(samples).to(device), truth)
            return _checked(separator, stems, (channels, samples.shape[1]))
        if isinstance(separator, EnsembleSeparator):
            mixture, estimates = _unstacked(separator, torch.from_numpy(samples).to(device))
            stems = separator.combine(mixture, estimates)
            return _checked(separator, stems, tuple(mixture.shape))
        parts = [
            _checked(
                separator,
                separator.separate(torch.from_numpy(fed).to(device)),
                (fed.shape[0], fed.shape[1]),
            )
            for fed in _feeds(samples, separator.channels)
        ]
    if len(parts) == 1 and parts[0][next(iter(parts[0]))].shape[0] == channels:
        return parts[0]
    return {name: _unfed([part[name] for part in parts], channels) for name in parts[0]}


def _feeds(samples: Samples, wanted: int | None) -> list[Samples]:
    """Cut channels into the groups a separator takes; a lone channel of a pair stands twice."""
    channels = samples.shape[0]
    if wanted is None or wanted == channels:
        return [samples]
    groups = [samples[first : first + wanted] for first in range(0, channels, wanted)]
    return [np.ascontiguousarray(np.resize(group, (wanted, group.shape[1]))) for group in groups]


def _unfed(parts: list[Samples], channels: int) -> Samples:
    """Undo `_feeds`: a channel that stood twice is the mean of what came of both."""
    size = parts[0].shape[0]
    lone = channels % size
    if lone:
        parts = [*parts[:-1], parts[-1].mean(axis=0, keepdims=True)]
    return np.concatenate(parts, axis=0)


def _checked(
    separator: Separator, stems: Mapping[str, torch.Tensor], shape: tuple[int, ...]
) -> dict[str, Samples]:
    """Return the stems as arrays if they are what the separator has promised.

    An oracle makes whatever stems the track has references for.
    """
    expected = without_remainder(separator)
    oracle = isinstance(separator, OracleSeparator)
    if not stems or not (all(map(is_stem_name, stems)) if oracle else set(stems) == set(expected)):
        raise SepbenchError(
            f"method {separator.name} returned the stems {sorted(stems)}, expected {expected}"
        )
    checked = {}
    for name in in_order(stems):
        stem = stems[name].detach().float().cpu().numpy()
        if stem.shape != shape:
            raise SepbenchError(
                f"method {separator.name} returned {name} of shape {stem.shape}, expected {shape}"
            )
        # Minimum and maximum carry NaN and infinity on, without a mask as long as the song.
        if stem.size and not (np.isfinite(stem.min()) and np.isfinite(stem.max())):
            raise SepbenchError(f"method {separator.name} returned NaN or infinity in {name}")
        checked[name] = stem
    return checked


def without_remainder(separator: Separator) -> list[str]:
    """Return the stems that the separator itself makes."""
    return [stem for stem in separator.stems if stem != separator.remainder]


def _unstacked(
    separator: EnsembleSeparator, rows: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Take apart what holds the mixture's channels, then those of each member's stems."""
    members, stems = len(separator.members), without_remainder(separator)
    channels = len(rows) // (1 + members * len(stems))
    made = rows[channels:].view(members, len(stems), channels, -1)
    return rows[:channels], dict(zip(stems, made.unbind(1), strict=True))


@contextmanager
def named(separator: Separator) -> Iterator[None]:
    """Turn what a separator raises into one line that names it."""
    try:
        yield
    except SepbenchError:
        raise
    except Exception as error:
        message = " ".join(str(error).split())
        if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(message):
            cure = "try --duration or --device cpu"
            raise SepbenchError(f"method {separator.name} ran out of memory; {cure}") from error
        reason = f"{type(error).__name__}: {message}"
        raise SepbenchError(f"method {separator.name} failed: {reason}") from error


def _on_grid(samples: float, grid: int) -> int:
    # What the context says in seconds must not become one step more by rounding.
    return int(-(-round(samples) // grid)) * grid


def join(pieces: list[Samples]) -> Samples:
    """Return the pieces end to end; a single one is not copied."""
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
