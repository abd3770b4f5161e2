"""Statistical comparison of methods: paired differences over tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepbench._util.arguments import is_finite, names, path
from sepbench._util.text import counted, matches
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record
from sepbench.metrics.protocols import DEFAULT_PROTOCOL, Protocol, reduce, shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report import statistics, tables
from sepbench.report.choice import scored_stems, unknown_stem
from sepbench.report.intervals import Interval, interval
from sepbench.report.merge import in_one_set, merge
from sepbench.report.scored import of_metric
from sepbench.report.statistics import Odds

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Difference:
    """A method against the baseline on the tracks that both have.

    ``value`` is the protocol's statistic of the differences (method minus baseline) and
    ``interval`` its 95 % interval: negative is better if lower scores are. ``p`` is the p-value of
    Wilcoxon's signed-rank test, and ``p_holm`` the same corrected for the number of methods.
    ``won`` is the share of tracks on which the method is better than the baseline,
    ``cliffs_delta`` is positive if it tends to be; ``odds`` are those of the Bayesian signed-rank
    test. Values are NaN for too few tracks.
    """

    label: str
    tracks: int
    value: float
    interval: Interval
    p: float
    p_holm: float
    cliffs_delta: float
    won: float
    odds: Odds


@dataclass(frozen=True)
class Comparison:
    """The methods of one stem under one metric and protocol.

    ``scores`` has a row per subset and track and a column per method, the best first; ``figures``
    is the protocol's statistic over all tracks of each. ``ranks`` and ``groups`` (sets of methods
    without significant differences) are over the ``common`` tracks of all methods, and empty if
    those are too few; ``remarks`` say why.
    """

    stem: str
    metric: str
    protocol: Protocol
    baseline: str
    scores: pd.DataFrame
    figures: dict[str, float]
    intervals: dict[str, Interval]
    differences: list[Difference]
    common: int
    ranks: dict[str, float] = field(default_factory=dict)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def by_track(self, label: str) -> list[tuple[str, str, float]]:
        """Return subset, track and a method's difference to the baseline, the worst first."""
        pair = self.paired(label)
        values = (pair[label] - pair[self.baseline]).to_numpy()
        songs = [(str(subset), str(track)) for subset, track in pair.index]
        order = self.gains(label).argsort(kind="stable")
        return [(*songs[row], float(values[row])) for row in order]

    def paired(self, label: str) -> pd.DataFrame:
        """Return the scores of a method and of the baseline on the tracks that both have."""
        return self.scores[[label, self.baseline]].dropna()

    def gains(self, label: str) -> NDArray[np.float64]:
        """Return the differences on these tracks, positive where the method is better."""
        good = goodness(self.paired(label), self.protocol)
        return (good[label] - good[self.baseline]).to_numpy()


def compare(
    records: Sequence[Record],
    *,
    protocol: str = DEFAULT_PROTOCOL,
    metric: str | None = None,
    stems: Sequence[str] = (),
    methods: Sequence[str] = (),
    baseline: str | None = None,
    rope: float | None = None,
) -> list[Comparison]:
    """Compare the methods of ``records`` on each stem of at least two methods.

    ``methods`` are patterns of labels; by default all but oracles. The default ``baseline`` is the
    best method of the stem among those with the most tracks. ``rope`` is the difference in the
    metric's unit below which two methods count as equal, by default 0.1 dB, and 0 in other units.
    Raises `SepbenchError` for an unknown method or stem, and if nothing can be compared.
    """
    rules = find_protocol(protocol)
    name = metric or shown(rules.metrics[0])
    rules.check_track_scores()
    rules.check(name)
    rules = rules.of(name)
    chosen = _chosen(records, methods, baseline)
    scored = scored_stems(chosen)
    if unknown := unknown_stem(stems, scored):
        raise SepbenchError(unknown)
    rope = (0.1 if rules.unit == "dB" else 0.0) if rope is None else rope
    found = []
    for stem in stems or scored:
        comparable, remarks = in_one_set(chosen, stem, name)
        scores = track_scores(comparable, stem, name, protocol)
        if scores.shape[1] >= 2 and (baseline is None or baseline in scores):
            found.append(_compared(scores, stem, name, rules, baseline, rope, remarks))
    if not found:
        which = f" with {baseline}" if baseline else ""
        if len(chosen) < len(records) and not methods:
            which += ", oracles left out (--method names them)"
        raise SepbenchError(
            f"no stem with {name} of protocol {protocol} by two methods{which}; "
            "choose another --stem, --metric or --protocol"
        )
    return found


def compare_runs(
    *runs: Path | str,
    protocol: str = DEFAULT_PROTOCOL,
    metric: str | None = None,
    stems: str | Sequence[str] = (),
    methods: str | Sequence[str] = (),
    baseline: str | None = None,
    rope: float | None = None,
) -> list[Comparison]:
    """Compare the methods of one run or several, given by their folders; see `compare`.

    The remarks list everything left out because the runs do not share it. Parts of one run are
    joined.
    """
    if not runs:
        raise SepbenchError("no runs; give the folder of one or more")
    if not (rope is None or (is_finite(rope) and rope >= 0)):
        raise SepbenchError(f"rope={rope!r}: give a number from 0 on, or None")
    merged = merge([path(run, "run") for run in runs], parts=True)
    found = compare(
        merged.records,
        protocol=protocol,
        metric=None if metric is None else str(metric),
        stems=names(stems, "stems"),
        methods=names(methods, "methods"),
        baseline=baseline,
        rope=rope,
    )
    return [replace(one, remarks=[*merged.remarks, *one.remarks]) for one in found]


def track_scores(records: Sequence[Record], stem: str, metric: str, protocol: str) -> pd.DataFrame:
    """Return finite scores, a row per subset and track and a column per label; missing are NaN."""
    rows = tables.scores(of_metric(r, metric, [stem]) for r in records if stem in r.stems)
    rows = rows[rows["stem"].eq(stem) & rows["metric"].eq(metric) & rows["protocol"].eq(protocol)]
    rows = rows[np.isfinite(rows["value"].astype(float))]
    return rows.pivot(index=["subset", "track"], columns="label", values="value").astype(float)


def scores_of_both(
    old: Sequence[Record], new: Sequence[Record], stem: str, metric: str, protocol: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `track_scores` of two runs, of windows that both use."""
    alike, _ = in_one_set([*old, *new], stem, metric)
    before, after = (
        track_scores(run, stem, metric, protocol) for run in (alike[: len(old)], alike[len(old) :])
    )
    return before, after


def goodness(scores: pd.DataFrame, rules: Protocol) -> pd.DataFrame:
    """Return scores converted so that greater is better; see `Protocol.goodness`."""
    if rules.higher_is_better is None:
        return -scores.abs()
    return scores if rules.higher_is_better else -scores


def _chosen(
    records: Sequence[Record], methods: Sequence[str], baseline: str | None
) -> list[Record]:
    labels = {record.label for record in records}
    known = ", ".join(sorted(labels))
    if baseline is not None and baseline not in labels:
        raise SepbenchError(f"baseline {baseline!r}: no such method; choose from {known}")
    wanted = [*methods, baseline] if methods and baseline else list(methods)
    for pattern in wanted:
        if not any(matches(label, pattern) for label in labels):
            raise SepbenchError(f"method {pattern!r}: not in the runs; choose from {known}")
    if wanted:
        return [r for r in records if any(matches(r.label, pattern) for pattern in wanted)]
    return [r for r in records if not r.oracle or r.label == baseline]


def _compared(
    scores: pd.DataFrame,
    stem: str,
    metric: str,
    rules: Protocol,
    baseline: str | None,
    rope: float,
    remarks: list[str],
) -> Comparison:
    scores = rules.sizes(scores)
    statistic = rules.over_tracks[0]
    figures = {str(label): reduce(statistic, scores[label].to_numpy()) for label in scores}
    order = sorted(figures, key=lambda label: (-rules.goodness(figures[label]), label))
    scores = scores[order]
    tracks = scores.notna().sum()
    reference = baseline or next(label for label in order if tracks[label] == tracks.max())
    differences = _differences(scores, reference, rules, rope)
    common = scores.dropna()
    ranks, groups, notes = _ranked(goodness(common, rules), differences)
    if len(common) < len(scores):
        notes.append(f"{len(common)} of {len(scores)} tracks have a score of every method")
    return Comparison(
        stem,
        metric,
        rules,
        reference,
        scores,
        {label: figures[label] for label in order},
        {label: interval(scores[label].to_numpy(), statistic) for label in order},
        differences,
        len(common),
        ranks,
        groups,
        [*remarks, *notes],
    )


def _differences(
    scores: pd.DataFrame, baseline: str, rules: Protocol, rope: float
) -> list[Difference]:
    others = [str(label) for label in scores if label != baseline]
    paired = {label: scores[[label, baseline]].dropna() for label in others}
    values = {label: (pair[label] - pair[baseline]).to_numpy() for label, pair in paired.items()}
    good = {label: goodness(pair, rules) for label, pair in paired.items()}
    gains = {label: (pair[label] - pair[baseline]).to_numpy() for label, pair in good.items()}
    p_values = [statistics.wilcoxon(gains[label]) for label in others]
    return [
        Difference(
            label,
            len(values[label]),
            reduce(rules.over_tracks[0], values[label]),
            interval(values[label], rules.over_tracks[0]),
            p,
            p_holm,
            statistics.cliffs_delta(good[label][label], good[label][baseline]),
            statistics.share_won(gains[label]),
            statistics.bayesian_signed_rank(gains[label], rope),
        )
        for label, p, p_holm in zip(others, p_values, statistics.holm(p_values), strict=True)
    ]


def _ranked(
    common: pd.DataFrame, differences: Sequence[Difference]
) -> tuple[dict[str, float], list[tuple[str, ...]], list[str]]:
    """Return mean ranks, best first, the groups without significant differences, and remarks."""
    remarks = [
        f"{each.label}: {reason}"
        for each in differences
        if (reason := statistics.too_few(each.tracks))
    ]
    if len(remarks) == len(differences):  # of all methods alike
        remarks = [statistics.too_few(max(each.tracks for each in differences))]
    if len(common) < statistics.MIN_TRACKS:
        least = f"{statistics.MIN_TRACKS} are needed"
        few = f"no ranks and groups: {counted(len(common), 'track')} with all methods, {least}"
        return {}, [], [*remarks, few]
    mean = common.rank(axis=1, ascending=False).mean().sort_values(kind="stable")
    ranks = {str(label): float(rank) for label, rank in mean.items()}
    pairs = list(combinations(ranks, 2))
    if len(common) < (needed := statistics.tracks_needed(len(pairs))):
        have = counted(len(common), "track")
        remarks.append(
            f"{have} can tell no 2 of {len(ranks)} methods apart; evaluate {needed} or more"
        )
    p_values = statistics.holm(
        [statistics.wilcoxon(common[one] - common[other]) for one, other in pairs]
    )
    distinct = {frozenset(pair) for pair, p in zip(pairs, p_values, strict=True) if p < SIGNIFICANT}
    return ranks, statistics.groups(list(ranks), distinct), remarks
