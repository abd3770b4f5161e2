"""Splits the cells of a run into parts, for job arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sepbench._util.arguments import is_integer
from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError
from sepbench.registry import Method


def shard(
    tracks: Sequence[Track], methods: Sequence[Method], part: tuple[int, int] | None
) -> list[tuple[Track, list[Method]]]:
    """Return the methods to run on each track: the I-th of N parts of all cells, or all.

    With enough tracks, a part has whole tracks, so that each track is read by only one part.
    """
    if part is None:
        return [(track, list(methods)) for track in tracks]
    number, count = part
    cells = []
    for row, track in enumerate(tracks):
        places = [row] * len(methods)
        if len(tracks) < count:
            places = [row * len(methods) + column for column in range(len(methods))]
        pairs = zip(places, methods, strict=True)
        chosen = [method for place, method in pairs if place % count == number - 1]
        if chosen:
            cells.append((track, chosen))
    return cells


def is_part(part: Any) -> bool:
    """Return whether ``part`` is ``(I, N)``, 1 <= I <= N.

    >>> is_part((2, 8)), is_part((0, 8)), is_part("2/8")
    (True, False, False)
    """
    if not (isinstance(part, Sequence) and len(part) == 2):
        return False
    return all(is_integer(number, least=1) for number in part) and part[0] <= part[1]


def read_shard(text: str) -> tuple[int, int]:
    """Return ``I/N`` as two numbers, 1 <= I <= N; raise `SepbenchError` if it is not that.

    >>> read_shard("2/8")
    (2, 8)
    """
    first, slash, second = text.partition("/")
    if not (slash and first.isdecimal() and second.isdecimal()):
        raise SepbenchError(f"--shard {text}: write it as I/N, such as 2/8")
    if not 1 <= int(first) <= int(second):
        raise SepbenchError(f"--shard {text}: no such part; I goes from 1 to N")
    return int(first), int(second)
