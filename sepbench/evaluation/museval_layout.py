"""museval's JSON layout: windows with four metrics each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MUSEVAL_METRICS = ("SDR", "SIR", "ISR", "SAR")
"""The scores of one frame in museval's layout; metrics that were not computed are NaN."""


def museval_frames(scores: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """Return scores by metric and window as a list of museval's frames."""
    count = len(scores.get("SDR", ()))
    missing = [math.nan] * count
    columns = {metric: scores.get(metric, missing) for metric in MUSEVAL_METRICS}
    return [
        {
            "time": float(index),
            "duration": 1.0,
            # museval's own files have NaN for infinity too.
            "metrics": {
                metric: values[index] if math.isfinite(values[index]) else math.nan
                for metric, values in columns.items()
            },
        }
        for index in range(count)
    ]
