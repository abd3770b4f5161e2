"""Scores of a data set from those of its tracks, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sepbench.metrics.protocols import Reduction, reduce
from sepbench.report.scored import Floats, Key, Scored
from sepbench.report.statistics import interval, pooled_interval


def columns(
    tracks: Sequence[Scored],
) -> dict[tuple[str, str, str], tuple[dict[str, None], Floats]]:
    """Return the sets and the numbers of all tracks by stem, score and protocol."""
    alike: dict[tuple[Key, ...], list[Floats]] = {}
    for track in tracks:
        alike.setdefault(track.keys, []).append(track.values)
    sets: dict[tuple[str, str, str], dict[str, None]] = {}
    parts: dict[tuple[str, str, str], list[Floats]] = {}
    for keys, members in alike.items():
        numbers = np.stack(members)
        for row, key in enumerate(keys):
            what = key.stem, key.score, key.protocol
            sets.setdefault(what, {})[key.set] = None
            parts.setdefault(what, []).append(numbers[:, row])
    return {what: (sets[what], np.concatenate(parts[what])) for what in parts}


def of_tracks(values: Floats, statistic: Reduction) -> dict[str, float]:
    """Return value, ends of the interval and improvement of a statistic over tracks."""
    return {
        "value": reduce(statistic, values[:, 0]),
        **interval(values[:, 0], statistic)._asdict(),
        "improvement": reduce(statistic, values[:, 2]),
    }


def pools(tracks: Sequence[Scored]) -> dict[tuple[str, str], list[Floats]]:
    """Return the windows of all tracks by stem and score."""
    pools: dict[tuple[str, str], list[Floats]] = {}
    for track in tracks:
        for what, windows in track.windows().items():
            pools.setdefault(what, []).append(windows)
    return pools


def of_pool(tracks: Sequence[Floats]) -> dict[str, float]:
    """Return the same of the median over the windows of all tracks in one pool."""
    estimate, mixture = np.concatenate(tracks, axis=1)
    value = reduce("median", estimate)
    return {
        "value": value,
        **pooled_interval([windows[0] for windows in tracks])._asdict(),
        "improvement": value - reduce("median", mixture),
    }


def used(values: Floats) -> float:
    """Return the share of all windows that have a score."""
    frames = values[:, 3]
    if not frames.sum():
        return float("nan")
    return float(np.round(np.nansum(values[:, 4] * frames)) / frames.sum())
