"""Compares two runs: identities of methods, and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sepbench.evaluation.records import Record
from sepbench.metrics.protocols import reduce, shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report.compare import scores_of_both
from sepbench.report.intervals import Interval, interval
from sepbench.stems import in_order

MISSING = "—"


@dataclass(frozen=True)
class Change:
    """A fact of a method's identity that differs on a number of tracks."""

    label: str
    fact: str
    old: str
    new: str
    tracks: int


@dataclass(frozen=True)
class ScoreChange:
    """The scores of a method and stem in both runs, on common tracks.

    ``value`` is the statistic of the differences, new minus old, with its 95 % interval.
    """

    label: str
    stem: str
    metric: str
    tracks: int
    old: float
    new: float
    value: float
    interval: Interval
    changed: int
    """Tracks on which the scores differ."""


@dataclass(frozen=True)
class Diff:
    """All differences between two runs; scores of their common methods."""

    only_old: list[str]
    only_new: list[str]
    common_tracks: int
    changes: list[Change]
    scores: list[ScoreChange]


def diff(
    old: Sequence[Record], new: Sequence[Record], *, protocol: str, metric: str | None = None
) -> Diff:
    """Return the changes of identities and scores from ``old`` to ``new``."""
    before, after = ({record.label: None for record in run} for run in (old, new))
    shared = [label for label in before if label in after]
    return Diff(
        [label for label in before if label not in after],
        [label for label in after if label not in before],
        len({r.song for r in old} & {r.song for r in new}),
        [change for label in shared for change in _changes(label, old, new)],
        list(_scores(shared, old, new, protocol, metric)),
    )


def flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested facts as a flat mapping with paths as keys.

    >>> flat({"a": {"b": 1}, "c": [2, 3]})
    {'a.b': '1', 'c': '2, 3'}
    >>> flat({"members": [{"method": "unet"}]})
    {'members.0.method': 'unet'}
    """
    found: dict[str, str] = {}
    for key, value in plain.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif isinstance(value, (list, tuple)) and any(isinstance(one, Mapping) for one in value):
            found |= flat({str(place): one for place, one in enumerate(value)}, f"{name}.")
        elif isinstance(value, (list, tuple)):
            found[name] = ", ".join(map(str, value))
        else:
            found[name] = str(value)
    return found


def _changes(label: str, old: Sequence[Record], new: Sequence[Record]) -> Iterator[Change]:
    befores = {r.song: r for r in old if r.label == label}
    seen: dict[tuple[str, str, str], int] = {}
    for record in new:
        before = befores.get(record.song) if record.label == label else None
        if before is None:
            continue
        one, other = flat(before.identity), flat(record.identity)
        one["failed"], other["failed"] = before.error or "no", record.error or "no"
        for stem in in_order(set(before.stems) & set(record.stems)):
            name = f"{stem} scored within"
            one[name], other[name] = (r.stems[stem].set for r in (before, record))
        for fact in dict.fromkeys([*one, *other]):
            pair = (one.get(fact, MISSING), other.get(fact, MISSING))
            if pair[0] != pair[1]:
                seen[(fact, *pair)] = seen.get((fact, *pair), 0) + 1
    for (fact, was, now), tracks in seen.items():
        yield Change(label, fact, was, now, tracks)


def _scores(
    labels: Sequence[str],
    old: Sequence[Record],
    new: Sequence[Record],
    protocol: str,
    metric: str | None,
) -> Iterator[ScoreChange]:
    rules = find_protocol(protocol)
    name = metric or shown(rules.metrics[0])
    statistic = rules.over_tracks[0]
    rules.check_track_scores()
    rules.check(name)
    for stem in in_order(name for record in old for name in record.stems):
        both = scores_of_both(old, new, stem, name, protocol)
        before, after = map(rules.sizes, both)
        for label in labels:
            if label not in before or label not in after:
                continue
            values = (after[label] - before[label]).dropna()
            if values.empty:
                continue
            was, now = before[label][values.index], after[label][values.index]
            yield ScoreChange(
                label,
                stem,
                name,
                len(values),
                reduce(statistic, was.to_numpy()),
                reduce(statistic, now.to_numpy()),
                reduce(statistic, values.to_numpy()),
                interval(values.to_numpy(), statistic),
                int(values.ne(0).sum()),
            )
