"""Finds methods whose scores are of fewer tracks than those of others, so cannot be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sepbench.metrics.protocols import shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report.scored import POOLED


def lacking(
    scores: pd.DataFrame, protocol: str, metric: str | None = None
) -> frozenset[tuple[str, str]]:
    """Return the label and stem of methods without a score of some tracks on which others have one.

    ``scores`` are rows as in ``scores.csv``; ``metric`` is by default the protocol's first. The
    tracks of published scores are not known by the same names, so these are not among them.
    """
    name = metric or shown(find_protocol(protocol).metrics[0])
    # The pooled protocol has no score of a track; it has those windows that others have.
    chosen = scores["metric"].eq(name) & (
        scores["protocol"].eq(protocol) if protocol != POOLED else True
    )
    values = pd.to_numeric(scores["value"]).to_numpy(dtype=float)
    rows = scores[chosen & np.isfinite(values) & ~scores["published"].eq(True)]
    found = set()
    for stem, of_stem in rows.groupby("stem"):
        tracks = {
            str(label): set(zip(own["subset"], own["track"], strict=True))
            for label, own in of_stem.groupby("label")
        }
        every = set().union(*tracks.values())
        found |= {(label, str(stem)) for label, songs in tracks.items() if songs != every}
    return frozenset(found)
