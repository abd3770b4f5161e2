"""Protocols: aggregation of scores over windows and over tracks.

Aggregation alone changes the vocals score of a published system by three decibels, so every number
is shown with its protocol. Everything here is a pure function of stored scores; another
aggregation needs no audio.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import pandas as pd

    from sepbench.metrics.metric import SetMetric

Sized = TypeVar("Sized", NDArray[np.float64], "pd.DataFrame")
Source = Literal["frames", "totals"]
Reduction = Literal["mean", "median"]


@dataclass(frozen=True)
class Protocol:
    """A way to aggregate: which scores, over windows, and over tracks.

    ``metrics`` are the ids of stored scores. ``over_windows`` is None if the windows of all tracks
    are pooled, and for scores of whole tracks. The first of ``over_tracks`` is the protocol's own
    statistic. ``higher_is_better`` is None if the best score is 0: the score of a data set is then
    that of the absolute values of its tracks, as errors of opposite sign do not cancel. For the
    metrics named in ``lower``, lower scores are better.
    """

    id: str
    source: Source
    metrics: tuple[str, ...]
    over_windows: Reduction | None
    over_tracks: tuple[Reduction, ...]
    caption: str
    unit: str = "dB"
    higher_is_better: bool | None = True
    lower: tuple[str, ...] = ()

    def check(self, metric: str) -> None:
        """Raise `SepbenchError`, which lists the metrics, if none has this name."""
        names = [shown(score) for score in self.metrics]
        if metric not in names:
            near = difflib.get_close_matches(metric.upper(), names, n=1)
            cure = f"did you mean {near[0]!r}?" if near else f"choose {' or '.join(names)}"
            if metric.upper() not in names and (others := with_score(metric)):
                cure = f"protocol {others[0]} has it"
            raise SepbenchError(f"protocol {self.id} has no metric {metric!r}; {cure}")

    def of(self, metric: str) -> Protocol:
        """Return the protocol with the direction of one of its metrics."""
        return replace(self, higher_is_better=False) if metric in self.lower else self

    @property
    def is_pooled(self) -> bool:
        """Whether the windows of all tracks are pooled, so that a track has no score."""
        return self.source == "frames" and self.over_windows is None

    def check_track_scores(self) -> None:
        """Raise `SepbenchError` if single tracks have no score."""
        if self.is_pooled:
            raise SepbenchError(
                f"protocol {self.id} has no score of a single track; choose another"
            )

    def sizes(self, scores: Sized) -> Sized:
        """Return scores of tracks as they are reduced: their absolute values if the best is 0.

        >>> replace(PROTOCOLS["mdx"], higher_is_better=None).sizes(np.array([-2.0, 1.0]))
        array([2., 1.])
        """
        return abs(scores) if self.higher_is_better is None else scores

    def goodness(self, score: float) -> float:
        """Return a number that is greater the better a score is.

        >>> PROTOCOLS["sisec18"].goodness(3.5)
        3.5
        """
        if self.higher_is_better is None:
            return -abs(score)
        return score if self.higher_is_better else -score

    @property
    def measure(self) -> str:
        """The name of its first score, with its unit, for tables.

        >>> PROTOCOLS["mdx"].measure
        'uSDR in dB'
        """
        name = shown(self.metrics[0])
        return f"{name} in {self.unit}" if self.unit else name

    @property
    def better(self) -> str:
        """The direction of good scores, for captions."""
        words = {None: "nearer to 0 is better", True: "higher is better", False: "lower is better"}
        return words[self.higher_is_better]

    def of_track(self, scores: Sequence[float] | NDArray[np.float64]) -> float:
        """Return the score of one track from its windows; NaN where no window has one.

        The pooled protocol has no score of a track; where one is shown it is the median of its
        windows. A whole-track score is a sequence of one and is returned unchanged.
        """
        return reduce(self.over_windows or "median", scores)


DEFAULT_PROTOCOL = "sisec18"
"""Where none is named."""

_BSSEVAL = ("SDR", "ISR", "SIR", "SAR")

PROTOCOLS = {
    protocol.id: protocol
    for protocol in (
        Protocol(
            "sisec18",
            "frames",
            _BSSEVAL,
            "median",
            ("median",),
            "BSSEval v4 by windows of 1 s; median over windows, then median over tracks",
        ),
        Protocol(
            "mean",
            "frames",
            _BSSEVAL,
            "mean",
            ("mean",),
            "BSSEval v4 by windows of 1 s; mean over windows, then mean over tracks",
        ),
        Protocol(
            "pooled",
            "frames",
            _BSSEVAL,
            None,
            ("median",),
            "BSSEval v4 by windows of 1 s; median over the windows of all tracks in one pool",
        ),
        Protocol(
            "mdx",
            "totals",
            ("uSDR",),
            None,
            ("mean",),
            "SDR of the whole track (uSDR, music demixing challenge); mean over tracks",
        ),
        Protocol(
            "si-sdr",
            "totals",
            ("SI-SDR",),
            None,
            ("median",),
            "SI-SDR of the whole track, channels jointly; median over tracks",
        ),
    )
}
"""The published protocols by id, in the order of help and tables.

Every other metric has a protocol of its own name; see `of_metric`.
"""


def with_score(name: str) -> list[str]:
    """Return the published protocols that have a score of this name, in any case of its letters.

    >>> with_score("usdr")
    ['mdx']
    """
    scores = {one.id: [score.lower() for score in one.metrics] for one in PROTOCOLS.values()}
    return [protocol for protocol, names in scores.items() if name.lower() in names]


def of_metric(metric: SetMetric) -> Protocol | None:
    """Return the protocol of a metric's own scores, or None if published protocols cover them.

    Scores of windows are reduced by their median.
    """
    known = {score for protocol in PROTOCOLS.values() for score in protocol.metrics}
    source: Source = "totals" if metric.totals else "frames"
    scores = tuple(map(metric.id_of, metric.totals or metric.frames))
    if set(scores) <= known:
        return None
    windows = "median over windows of 1 s, then " if source == "frames" else ""
    sizes = " of absolute values" if metric.higher_is_better is None else ""
    return Protocol(
        metric.label,
        source,
        scores,
        "median" if source == "frames" else None,
        metric.over_tracks,
        f"{metric.summary.removesuffix('.')}; {windows}{metric.over_tracks[0]}{sizes} over tracks",
        metric.unit,
        metric.higher_is_better,
        metric.lower,
    )


def of_unknown(scores: Sequence[str]) -> dict[str, Protocol]:
    """Return protocols for stored scores whose metric is not installed; their unit is unknown."""
    families: dict[str, list[str]] = {}
    for score in scores:
        families.setdefault(score.rpartition(" ")[0] or score, []).append(score)
    return {
        name: Protocol(
            name,
            "totals",
            tuple(ids),
            None,
            ("median", "mean"),
            f"scores of the metric {name}, which is not installed; median over tracks",
            "",
        )
        for name, ids in families.items()
    }


def shown(score: str) -> str:
    """Drop the metric's name, which the protocol has, from an id.

    >>> shown("nussl SI-SDR")
    'SI-SDR'
    """
    return score.rpartition(" ")[2]


def reduce(how: Reduction, scores: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the mean or median of the finite scores, NaN if no score is finite.

    Infinite scores count as missing, as in museval.

    >>> reduce("median", [1.0, float("inf"), 4.0, float("nan")])
    2.5
    """
    finite = np.asarray(scores, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return float("nan")
    if how == "mean":
        return float(np.add.reduce(finite) / finite.size)
    # numpy's median takes ten times as long for so few numbers.
    finite = np.sort(finite)
    return float((finite[(finite.size - 1) // 2] + finite[finite.size // 2]) / 2)


def used(scores: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the share of windows that have a score, from 0 to 1; NaN without windows."""
    if not len(scores):
        return float("nan")
    return int(np.isfinite(np.asarray(scores, dtype=np.float64)).sum()) / len(scores)
