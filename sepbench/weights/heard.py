"""What weights were trained on: the fields of a header that say so, and their union."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEARD = ("trained_on", "songs", "sounds")
"""Names of data sets with their splits; seconds of songs by name; digests of songs' sound."""


def heard(*headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields `HEARD` for weights made from all of several others.

    >>> heard({"trained_on": ["b"], "songs": {"x": 3.0}}, {"trained_on": ["a"], "sounds": ["f0"]})
    {'trained_on': ['a', 'b'], 'songs': {'x': 3.0}, 'sounds': ['f0']}
    """
    return {
        "trained_on": sorted({name for one in headers for name in one.get("trained_on", [])}),
        "songs": {mark: s for one in headers for mark, s in one.get("songs", {}).items()},
        "sounds": sorted({mark for one in headers for mark in one.get("sounds", [])}),
    }
