"""The names of stems, their aliases, and which stems are sums of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

STEMS = (
    "vocals",
    "drums",
    "bass",
    "other",
    "accompaniment",
    "harmonic",
    "percussive",
    "residual",
)
"""Every stem a method may declare, in the order in which tables and plots show them.

``residual`` is what a method could not assign; it has no reference and is never scored.
"""

ALIASES = {"instrumental": "accompaniment", "no_vocals": "accompaniment"}
"""Other names under which stems are found on disk."""

SUMS = {
    "accompaniment": ("drums", "bass", "other"),
    "harmonic": ("bass", "other"),
    "percussive": ("drums",),
}
"""Stems that are sums of others, with their terms."""

APART_FROM_VOCALS = ("percussive", "harmonic")
"""The terms of ``accompaniment`` where the voice was taken out first; otherwise it is in them."""

SCENARIOS = (
    ("vocals", "drums", "bass", "other"),
    ("vocals", "accompaniment"),
    ("harmonic", "percussive"),
)
"""The sets in which stems are scored together; a window silent in one member counts for none."""


class _Addable(Protocol):
    def __add__(self, other: Any, /) -> Any: ...


A = TypeVar("A", bound=_Addable)


def with_sums(stems: Mapping[str, A]) -> dict[str, A]:
    """Add every stem of `SUMS` whose terms are all present and that is not there itself.

    Beside ``vocals``, ``percussive`` and ``harmonic`` make up the ``accompaniment`` too. Works on
    numpy arrays and torch tensors alike; terms are added in the order of `SUMS`, so the result is
    the same to the bit whatever the order of ``stems``.

    >>> with_sums({"drums": 1.0, "bass": 2.0, "other": 4.0})["accompaniment"]
    7.0
    >>> with_sums({"vocals": 1.0, "percussive": 2.0, "harmonic": 4.0})["accompaniment"]
    6.0
    """
    complete = dict(stems)
    sums = [*SUMS.items()]
    if "vocals" in stems:
        sums.append(("accompaniment", APART_FROM_VOCALS))
    for name, terms in sums:
        if name not in complete and all(term in stems for term in terms):
            total = stems[terms[0]]
            for term in terms[1:]:
                total = total + stems[term]
            complete[name] = total
    return complete


def canonical(name: str) -> str:
    """Return the stem that ``name`` stands for, whatever its case or alias.

    >>> canonical("Instrumental")
    'accompaniment'
    """
    lowered = name.strip().lower()
    return ALIASES.get(lowered, lowered)
