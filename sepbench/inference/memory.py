"""Refuses a song that a separator needs completely in memory, if there is not enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

import psutil

from sepbench.errors import MethodError
from sepbench.separator import AnySeparator

_IN_BLOCKS = ("hpss", "unet")
"""Methods that are named as a cure."""


def needed(separator: AnySeparator, seconds: float, rate: int, channels: int) -> float:
    """Return about how many bytes a separator needs for a song; 0 if it works in blocks.

    For a separator that does not declare its ``memory_per_second`` this is the minimum: mixture and
    stems.
    """
    if separator.context is not None:
        return 0.0
    own = separator.memory_per_second
    if own is None:
        own = 4 * 2 * rate * (1 + len(separator.stems))
    return seconds * own * channels / 2 + sum(
        needed(member, seconds, rate, channels) for member in separator.members
    )


_turn = Condition()
_running: list[float] = []
"""The bytes needed by each song that is being separated; guarded by ``_turn``."""

_free_before = 0.0
"""The bytes that were free before the first of these songs began."""


@contextmanager
def reserved(
    separator: AnySeparator, label: str, seconds: float, rate: int, channels: int
) -> Iterator[None]:
    """Reserve the memory of a song while it is separated beside others, in other threads.

    Waits until there is enough for all of them; raises `MethodError` if there is not enough for
    this song alone.
    """
    global _free_before
    need = needed(separator, seconds, rate, channels) if math.isfinite(seconds) else 0.0
    with _turn:
        # The others may not yet have taken what they need.
        while need and _running and not _fits(need):
            _turn.wait()
        require(separator, label, seconds, rate, channels)
        if not _running:
            _free_before = psutil.virtual_memory().available
        _running.append(need)
    try:
        yield
    finally:
        with _turn:
            _running.remove(need)
            _turn.notify_all()


def _fits(need: float) -> bool:
    free = min(psutil.virtual_memory().available, _free_before - sum(_running))
    return need <= free


def require(separator: AnySeparator, label: str, seconds: float, rate: int, channels: int) -> None:
    """Raise `MethodError` if a song needs more memory than is free."""
    if not math.isfinite(seconds):
        return
    need, free = needed(separator, seconds, rate, channels), psutil.virtual_memory().available
    if need > free:
        raise MethodError(
            label,
            f"keeps the whole song in memory: {_duration(seconds)} need about {need / 1e9:.1f} GB, "
            f"{free / 1e9:.1f} GB are free; give --duration, or a method that works in blocks, "
            f"such as {' or '.join(_IN_BLOCKS)}",
        )


def _duration(seconds: float) -> str:
    """Return a length for people.

    >>> _duration(10_800)
    '3.0 hours'
    """
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
