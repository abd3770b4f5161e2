"""The training data of weights: the header fields that list it and its terms, and their union."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sepbench.separator import joined_terms

FIELDS = ("trained_on", "songs", "sounds", "license")
"""Names of data sets with their splits; seconds of songs by name; digests of songs' sound; terms of
the weights."""


def merged(*headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields `FIELDS` for weights made from all of several others.

    Terms that several have are named once.

    >>> merged({"trained_on": ["b"], "songs": {"x": 3.0}}, {"trained_on": ["a"], "license": "MIT"})
    {'trained_on': ['a', 'b'], 'songs': {'x': 3.0}, 'sounds': [], 'license': 'MIT'}
    """
    return {
        "trained_on": sorted({name for one in headers for name in one.get("trained_on", [])}),
        "songs": {mark: s for one in headers for mark, s in one.get("songs", {}).items()},
        "sounds": sorted({mark for one in headers for mark in one.get("sounds", [])}),
        "license": joined_terms(*(str(one.get("license") or "") for one in headers)),
    }
