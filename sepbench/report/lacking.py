"""Finds methods that have scores of fewer tracks than others, so that they cannot be ranked."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from typing import TypeVar

import numpy as np
import pandas as pd

from sepbench._util.text import printable
from sepbench.evaluation.records import Record
from sepbench.metrics.protocols import shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report.scored import POOLED

K = TypeVar("K", bound=Hashable)


def incomplete_methods(records: Sequence[Record]) -> frozenset[str]:
    """Return the labels of methods that failed on some tracks on which others did not.

    A method that failed on every track has nothing to rank and is not among them.
    """
    songs: dict[str, set[tuple[str, str]]] = {}
    for record in records:
        own = songs.setdefault(printable(record.label), set())
        if record.error is None:
            own.add(record.song)
    return _with_fewer(songs)


def lacking(
    scores: pd.DataFrame, protocol: str, metric: str | None = None
) -> frozenset[tuple[str, str]]:
    """Return label and stem of each method without a score of some tracks that others have.

    Unlike `incomplete_methods`, this sees single stems and metrics: a method that succeeded may
    still have no finite score of a stem. ``scores`` has the rows of ``scores.csv``; ``metric`` is
    by default the protocol's first. Published scores are left out, as their tracks have other
    names.
    """
    name = metric or shown(find_protocol(protocol).metrics[0])
    # The pooled protocol has no score of a track; it has those windows that others have.
    chosen = scores["metric"].eq(name) & (
        scores["protocol"].eq(protocol) if protocol != POOLED else True
    )
    values = pd.to_numeric(scores["value"]).to_numpy(dtype=float)
    rows = scores[chosen & np.isfinite(values) & ~scores["published"].eq(True)]
    found: frozenset[tuple[str, str]] = frozenset()
    for stem, of_stem in rows.groupby("stem"):
        found |= _with_fewer(
            {
                (str(label), str(stem)): set(zip(own["subset"], own["track"], strict=True))
                for label, own in of_stem.groupby("label")
            }
        )
    return found


def _with_fewer(songs: Mapping[K, Set[tuple[str, str]]]) -> frozenset[K]:
    """Return the keys with some songs, but not all that any key has."""
    every = set().union(*songs.values())
    return frozenset(key for key, own in songs.items() if own and own != every)
