"""Checks of minimum scores and regressions, for pipelines.

The rule is `sepbench.report.statistics.surely_below`: all conditions together raise a false alarm
in under 5 % of cases; ``benchmarks/intervals.py`` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sepbench._util.text import counted, matches
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record
from sepbench.metrics.protocols import Protocol, reduce, shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report import statistics
from sepbench.report.compare import goodness, scores_of_both, track_scores
from sepbench.report.intervals import CONFIDENCE, NO_INTERVAL, Interval, interval
from sepbench.report.merge import of_same_audio
from sepbench.stems import in_order


@dataclass(frozen=True)
class Verdict:
    """One condition: the value, its interval, the limit, and whether it fails.

    It ``failed`` if ``value`` is significantly below ``limit``, or, with ``strict``, just below.
    ``reason`` says why nothing could be decided, empty otherwise.
    """

    condition: str
    value: float
    interval: Interval
    limit: float
    tracks: int
    failed: bool
    reason: str = ""


@dataclass(frozen=True)
class Floor:
    """A score that a method must reach: ``--fail-below 'unet vocals SDR 6.5'``."""

    label: str
    stem: str
    metric: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Floor:
        """Parse a floor; raise `SepbenchError` for an invalid text."""
        words = text.rsplit(maxsplit=3)
        try:
            label, stem, metric, limit = words
            if not math.isfinite(float(limit)):
                raise ValueError(limit)
            return cls(label, stem, metric, float(limit))
        except ValueError:
            raise SepbenchError(
                f"--fail-below {text!r}: write it as 'METHOD STEM METRIC NUMBER', "
                "such as 'unet vocals SDR 6.5'"
            ) from None


def below(
    records: Sequence[Record], floors: Sequence[Floor], *, protocol: str, strict: bool, tests: int
) -> list[Verdict]:
    """Check floors; ``tests`` is the number of conditions checked together.

    If lower scores are better, or those near zero, the floor is a ceiling.
    """
    verdicts = []
    for floor in floors:
        rules = find_protocol(protocol).of(floor.metric)
        rules.check(floor.metric)
        known = sorted({record.label for record in records})
        if floor.label not in known:
            raise SepbenchError(
                f"--fail-below: no method {floor.label!r}; choose from {', '.join(known)}"
            )
        chosen = [record for record in records if record.label == floor.label]
        scores = track_scores(chosen, floor.stem, floor.metric, protocol)
        if floor.label not in scores:
            raise SepbenchError(
                f"--fail-below: no {floor.metric} of {floor.stem} by {floor.label} under protocol "
                f"{protocol}"
            )
        bound = "at least" if rules.higher_is_better else "at most"
        condition = f"{floor.label} {floor.stem} {floor.metric} {bound} {floor.limit:g}"
        values = goodness(scores, rules)[floor.label].to_numpy()
        limit = rules.goodness(floor.limit)
        verdict = _verdict(condition, values, limit, rules, strict, tests)
        verdicts.append(verdict if rules.higher_is_better else _as_scores(verdict))
    return verdicts


def _as_scores(verdict: Verdict) -> Verdict:
    """Return a verdict on goodness as one on scores, for scores of which lower ones are better."""
    low, high = verdict.interval
    return replace(
        verdict, value=-verdict.value, interval=Interval(-high, -low), limit=-verdict.limit
    )


def worse(
    old: Sequence[Record],
    new: Sequence[Record],
    margin: float,
    *,
    protocol: str,
    metric: str | None,
    stems: Sequence[str],
    methods: Sequence[str] = (),
    strict: bool,
    more_tests: int = 0,
) -> list[Verdict]:
    """Check every method of the old run: its new minus its old scores, by track.

    Only tracks with the same audio in both runs count, and windows used in both. A method without
    new scores fails, with any margin, and so does one that failed on a track of which the old run
    has a score. ``methods`` are patterns of labels; all if none are given. ``more_tests`` are
    conditions checked together with these.
    """
    old, new = (
        [one for one in run if not methods or any(matches(one.label, like) for like in methods)]
        for run in of_same_audio(old, new)
    )
    rules = find_protocol(protocol)
    name = metric or shown(rules.metrics[0])
    rules = rules.of(name)
    labels = sorted({record.label for record in old})
    if not {record.label for record in new}.intersection(labels):
        raise SepbenchError("--fail-worse: the runs have no method in common")
    failed = {(record.label, record.song) for record in new if record.error is not None}
    pairs: dict[str, tuple[np.ndarray, int]] = {}
    for stem in stems or in_order(name for record in old for name in record.stems):
        both = scores_of_both(old, new, stem, name, protocol)
        before, after = (goodness(scores, rules) for scores in both)
        for label in (label for label in labels if label in before):
            known = before[label].dropna()
            values = (after[label] - known).dropna() if label in after else known[:0]
            crashed = sum((label, song) in failed for song in known.index)
            condition = f"{label} {stem} {name} not worse by more than {margin:g}"
            pairs[condition] = values.to_numpy(), crashed
    if not pairs:
        raise SepbenchError(f"--fail-worse: no {name} of protocol {protocol} in the old run")
    tests = len(pairs) + more_tests
    return [
        _of_failures(_verdict(condition, values, -margin, rules, strict, tests), crashed)
        for condition, (values, crashed) in pairs.items()
    ]


def _of_failures(verdict: Verdict, crashed: int) -> Verdict:
    """Return the verdict, failed if the new run failed on tracks that the old one scored."""
    if not crashed:
        return verdict
    reason = f"the new run failed on {counted(crashed, 'track')} that the old one scored"
    return replace(verdict, failed=True, reason=reason)


def _verdict(
    condition: str, values: np.ndarray, limit: float, rules: Protocol, strict: bool, tests: int
) -> Verdict:
    statistic = rules.over_tracks[0]
    if not values.size:
        reason = "the new run has no scores of it"
        return Verdict(condition, math.nan, NO_INTERVAL, limit, 0, True, reason)
    value = reduce(statistic, values)
    found = interval(values, statistic, confidence=1 - (1 - CONFIDENCE) / (1 if strict else tests))
    needed = statistics.tracks_needed(tests)
    reason = ""
    if strict:
        failed = value < limit
    elif len(values) < needed:
        failed = False
        have = counted(len(values), "track")
        reason = f"not decided: {have}, {needed} are needed; --strict decides by the value only"
    else:
        failed = statistics.surely_below(values, limit, statistic, tests=tests)
    return Verdict(condition, value, found, limit, len(values), failed, reason)
