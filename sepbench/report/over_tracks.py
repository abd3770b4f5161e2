"""Scores of a data set from those of its tracks, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, get_args

import numpy as np

from sepbench.metrics.protocols import Protocol, Reduction, reduce
from sepbench.report.intervals import Interval, intervals, pooled_interval
from sepbench.report.scored import POOLED, Floats, Key, Scored

What: TypeAlias = tuple[str, str, str]
"""A stem, the id of a score, and a protocol."""


def columns(
    tracks: Sequence[Scored], rules: Mapping[str, Protocol]
) -> dict[What, tuple[dict[str, None], Floats]]:
    """Return the sets and the numbers of all tracks by stem, score and protocol.

    Scores are sizes, as by `Protocol.sizes`.
    """
    alike: dict[tuple[Key, ...], list[Floats]] = {}
    for track in tracks:
        alike.setdefault(track.keys, []).append(track.values)
    sets: dict[What, dict[str, None]] = {}
    parts: dict[What, list[Floats]] = {}
    for keys, members in alike.items():
        numbers = np.stack(members)
        for row, key in enumerate(keys):
            what = key.stem, key.score, key.protocol
            sets.setdefault(what, {})[key.set] = None
            parts.setdefault(what, []).append(numbers[:, row])
    found = {what: (sets[what], np.concatenate(parts[what])) for what in parts}
    for what, (_, values) in found.items():
        values[:, 0] = rules[what[2]].sizes(values[:, 0])
    return found


def intervals_of(
    found: Mapping[What, tuple[dict[str, None], Floats]], rules: Mapping[str, Protocol]
) -> dict[tuple[What, Reduction], Interval]:
    """Return the intervals of the `columns` of scores over tracks, for each statistic."""
    ends: dict[tuple[What, Reduction], Interval] = {}
    for statistic in get_args(Reduction):
        asked = [
            what for what in found if what[2] != POOLED and statistic in rules[what[2]].over_tracks
        ]
        alike = intervals([found[what][1][:, 0] for what in asked], statistic)
        ends |= {(what, statistic): one for what, one in zip(asked, alike, strict=True)}
    return ends


def of_tracks(values: Floats, statistic: Reduction, ends: Interval) -> dict[str, float]:
    """Return value, ends of the interval and improvement of a statistic over tracks."""
    return {
        "value": reduce(statistic, values[:, 0]),
        **ends._asdict(),
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
    """Return the same values for the median over the windows of all tracks, pooled."""
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
