"""Bounds for the numbers that separators declare."""

from __future__ import annotations

from math import isfinite
from typing import Any

from sepbench._util.plain import is_whole
from sepbench.errors import SepbenchError
from sepbench.separator import AnySeparator

RATES = (1000, 768_000)
"""Hz."""

_MOST_CONTEXT = 3600.0
_MOST_CHANNELS = 64
_MOST_GRID = 1 << 22
_MOST_STEMS = 64


def absurd_fact(separator: AnySeparator) -> str | None:
    """Return what is wrong with a separator's numbers, or None.

    A fact that depends on an option without default is checked on use.
    """
    rate = _read(separator, "sample_rate")
    if rate is not None and not _is_whole(rate, *RATES):
        return (
            f"sample_rate {_shown(rate)} is not a rate; give {RATES[0]} to {RATES[1]} Hz, or None"
        )
    channels = _read(separator, "channels")
    if channels is not None and not _is_whole(channels, 1, _MOST_CHANNELS):
        return f"channels {_shown(channels)}: give 1 to {_MOST_CHANNELS}, or None for any number"
    context = _read(separator, "context")
    if isinstance(context, (int, float)) and not (
        isfinite(context) and 0 <= context <= _MOST_CONTEXT and not isinstance(context, bool)
    ):
        return (
            f"context {_shown(context)}: give 0 to {_MOST_CONTEXT:g} seconds, "
            "or None for the whole song"
        )
    grid = _read(separator, "block_alignment")
    if grid is not None and not _is_whole(grid, 1, _MOST_GRID):
        return f"block_alignment {_shown(grid)}: give 1 to {_MOST_GRID} samples"
    stems = _read(separator, "stems")
    if stems is not None and len(stems) > _MOST_STEMS:
        return f"{len(stems)} stems; declare at most {_MOST_STEMS}"
    return None


def _read(separator: AnySeparator, fact: str) -> Any:
    try:
        return getattr(separator, fact, None)
    except SepbenchError:
        return None


def _is_whole(value: Any, least: int, most: int) -> bool:
    return is_whole(value) and least <= value <= most


def _shown(value: Any) -> str:
    return repr(value)[:40]
