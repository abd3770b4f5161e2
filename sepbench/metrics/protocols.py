"""How scores of windows become scores of tracks, and those the score of a data set.

A number carries its protocol: aggregation alone moves a published system's vocals by three
decibels. Everything here is a pure function of scores that are already on disk, so aggregating
anew needs no audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Source = Literal["frames", "totals"]
Reduction = Literal["mean", "median"]

NUSSL_METRICS = ("SI-SDR", "SI-SIR", "SI-SAR", "SD-SDR", "SNR", "SRR")
"""The scale-dependent and scale-invariant scores of nussl, in the order of its reports."""

METRIC_SETS: dict[str, dict[Source, tuple[str, ...]]] = {
    "sdr": {"frames": ("SDR",), "totals": ("uSDR", "SI-SDR")},
    "bsseval": {"frames": ("ISR", "SIR", "SAR"), "totals": ()},
    "nussl": {"frames": (), "totals": tuple(f"nussl {name}" for name in NUSSL_METRICS)},
}
"""The names of ``--metric``, with the ids of the scores by window and by track that each adds.

``sdr`` is always computed: the others refer to its silent windows.
"""


@dataclass(frozen=True)
class Protocol:
    """A published way to aggregate: which scores, over windows, and over tracks.

    ``over_windows`` is none where the windows of all tracks go into one pool, and for scores that
    are of whole tracks from the start. The first of ``over_tracks`` is the protocol's own figure.
    """

    id: str
    source: Source
    metrics: tuple[str, ...]
    over_windows: Reduction | None
    over_tracks: tuple[Reduction, ...]
    caption: str
    unit: str = "dB"

    def of_track(self, scores: Sequence[float]) -> float:
        """Return the score of one track from its windows; NaN where no window has one.

        The pooled protocol has no score of a track; the median of its windows stands in where one
        is shown. A whole-track score is a sequence of one and returned as it is.
        """
        return reduce(self.over_windows or "median", scores)

    def of_data_set(
        self, tracks: Sequence[Sequence[float]], statistic: Reduction | None = None
    ) -> float:
        """Return the score of a data set from the windows of each track (or its one total).

        ``statistic`` is one of ``over_tracks``, by default the first. NaN where no track has one.
        """
        chosen = statistic or self.over_tracks[0]
        if chosen not in self.over_tracks:
            raise ValueError(f"protocol {self.id} has no {chosen} over tracks")
        if self.source == "frames" and self.over_windows is None:
            return reduce(chosen, [score for track in tracks for score in track])
        return reduce(chosen, [self.of_track(track) for track in tracks])


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
        Protocol(
            "nussl",
            "totals",
            METRIC_SETS["nussl"]["totals"],
            None,
            ("mean", "median"),
            "nussl's scores of the whole track, zero-mean, median over channels; mean over tracks",
        ),
    )
}
"""Every protocol by its id, in the order in which help and tables show them."""


def reduce(how: Reduction, scores: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the mean or median of the finite scores, NaN where there is none.

    Infinite scores count as missing, as in museval.

    >>> reduce("median", [1.0, float("inf"), 4.0, float("nan")])
    2.5
    """
    finite = np.asarray(scores, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return float("nan")
    return float(np.mean(finite) if how == "mean" else np.median(finite))


def used(scores: Sequence[float]) -> float:
    """Return the share of windows that have a score, from 0 to 1; NaN where there is no window."""
    if not len(scores):
        return float("nan")
    return float(np.isfinite(np.asarray(scores, dtype=np.float64)).mean())
