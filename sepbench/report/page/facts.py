"""The data of the page: scores, figures, costs and provenance, ready for JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeAlias

import pandas as pd

import sepbench
from sepbench._util.text import printable
from sepbench.evaluation.records import Record
from sepbench.evaluation.store import Settings
from sepbench.metrics.protocols import Protocol
from sepbench.metrics.protocols import shown as shown_name
from sepbench.registry.metrics import protocols_of
from sepbench.report import published
from sepbench.report.diff import flat
from sepbench.report.grid import marks
from sepbench.report.lacking import lacking
from sepbench.stems import in_order

Song: TypeAlias = tuple[str, str]
"""The subset and the name of a track: songs of two subsets may have one name."""

DIGITS = 6  # As `summary.csv`: what is rounded twice may end in another digit than its tables.


def facts(
    records: Sequence[Record], settings: Settings, scores: pd.DataFrame, summary: pd.DataFrame
) -> dict[str, Any]:
    """Return the run as nested lists and mappings; numbers are rounded, missing ones are None.

    ``scores[protocol][metric][stem][label]`` lists one value per track, in the order of ``tracks``;
    ``figures`` has value, low, high and number of tracks under the same keys. ``ties`` and
    ``incomplete`` list the labels that tie with the best of a stem, and those of fewer tracks than
    others. A name that songs of two subsets have is ``subset/track``.
    """
    rules = protocols_of(
        score
        for record in records
        for result in record.stems.values()
        for score in (*result.frames, *result.totals)
    )
    names = _names(scores)
    return {
        "title": settings.default_name,
        "dataset": settings.dataset,
        "subset": settings.subset,
        "start": settings.start,
        "duration": settings.duration,
        "version": sepbench.__version__,
        "tracks": list(names.values()),
        "stems": in_order(scores["stem"].dropna()),
        "protocols": _protocols(summary, rules),
        "methods": _methods(records, summary),
        "scores": _scores(scores, list(names)),
        "figures": _figures(summary, rules),
        **_standing(scores, summary, rules),
        "failures": [
            {
                "label": record.label,
                "track": names.get((record.subset, printable(record.track)), record.track),
                "error": record.error,
            }
            for record in records
            if record.error is not None
        ],
    }


def _names(scores: pd.DataFrame) -> dict[Song, str]:
    """Return what each song of a run is called on its page."""
    rows = scores.loc[scores["track"].notna(), ["subset", "track"]].drop_duplicates()
    songs = [(str(subset), str(track)) for subset, track in rows.itertuples(index=False)]
    counts = Counter(track for _, track in songs)
    return {
        (subset, track): track if counts[track] == 1 else f"{subset}/{track}"
        for subset, track in songs
    }


def _protocols(summary: pd.DataFrame, known: Mapping[str, Protocol]) -> dict[str, Any]:
    here = set(summary["protocol"].dropna())
    return {
        rules.id: {
            "caption": rules.caption,
            "unit": rules.unit,
            "is_pooled": rules.is_pooled,
            "statistic": rules.over_tracks[0],
            "metrics": {
                shown: {
                    "higher_is_better": rules.of(shown).higher_is_better,
                    "better": rules.of(shown).better,
                }
                for shown in dict.fromkeys(shown_name(name) for name in rules.metrics)
                if (summary["protocol"].eq(rules.id) & summary["metric"].eq(shown)).any()
            },
        }
        for rules in known.values()
        if rules.id in here
    }


def _methods(records: Sequence[Record], summary: pd.DataFrame) -> dict[str, Any]:
    first = {record.label: record for record in reversed(records) if record.error is None}
    first = {record.label: record for record in records} | first
    methods = {}
    for label, rows in summary.groupby("label", sort=False):
        row = rows.iloc[0]
        speed = float(row["seconds_per_second"])
        record = first.get(str(label))
        methods[str(label)] = {
            "oracle": bool(row["oracle"]),
            "published": bool(row["published"]),
            "trained_on_this": bool(row["trained_on_this"]),
            "failed": int(row["failed"]),
            "speed": _number(1 / speed if speed > 0 else math.nan),
            "memory": _number(row["peak_memory_mb"]),
            "trained_on": list(_trained_on(record)),
            "provenance": _origin(record) if record else {"published": published.caption()},
        }
    return methods


def _origin(record: Record) -> dict[str, str]:
    known = flat(record.identity)
    return known | {"notes": "; ".join(record.notes)} if record.notes else known


def _trained_on(record: Record | None) -> Iterable[str]:
    """Yield the training data of a method, if the method is installed."""
    from sepbench import registry
    from sepbench.errors import SepbenchError
    from sepbench.separator import UNKNOWN_TRAINING

    if record is None or "method" not in record.identity:
        yield from UNKNOWN_TRAINING
        return
    try:
        (method,) = registry.resolve(record.label)
        yield from method.create().trained_on
    except (SepbenchError, ValueError):
        yield from UNKNOWN_TRAINING  # Not installed: the run was made elsewhere.


def _scores(scores: pd.DataFrame, songs: Sequence[Song]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    place = {song: index for index, song in enumerate(songs)}
    valued = scores[scores["protocol"].notna() & scores["value"].notna()]
    columns = ["protocol", "metric", "stem", "label", "subset", "track", "value"]
    for protocol, metric, stem, label, *song, value in valued[columns].itertuples(index=False):
        of_metric = nested.setdefault(protocol, {}).setdefault(metric, {})
        values = of_metric.setdefault(stem, {}).setdefault(label, [None] * len(songs))
        values[place[song[0], song[1]]] = _number(value)
    return nested


def _figures(summary: pd.DataFrame, known: Mapping[str, Protocol]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for row in summary[summary["protocol"].notna()].to_dict(orient="records"):
        if row["statistic"] == known[row["protocol"]].over_tracks[0]:
            of_metric = nested.setdefault(row["protocol"], {}).setdefault(row["metric"], {})
            of_metric.setdefault(row["stem"], {})[row["label"]] = [
                _number(row["value"]),
                _number(row["low"]),
                _number(row["high"]),
                int(row["tracks"]),
            ]
    return nested


def _standing(
    scores: pd.DataFrame, summary: pd.DataFrame, known: Mapping[str, Protocol]
) -> dict[str, Any]:
    """Return the methods that tie with the best of each stem, and those that are not ranked."""
    ties: dict[str, Any] = {}
    incomplete: dict[str, Any] = {}
    valued = summary[summary["protocol"].notna()]
    unequal_of = cache(partial(lacking, scores))  # for all stems at once
    for (protocol, metric, stem), rows in valued.groupby(["protocol", "metric", "stem"]):
        rules = known[str(protocol)].of(str(metric))
        own = scores[scores["protocol"].eq(str(protocol)) & scores["metric"].eq(str(metric))]
        statistic = rows["statistic"].eq(rules.over_tracks[0])
        unequal = unequal_of(str(protocol), str(metric))
        found = marks(rows[statistic], own, str(stem), rules, unequal)
        tied = [label for label, (_, tie) in found.items() if tie]
        fewer = sorted(label for label, of_stem in unequal if of_stem == stem)
        for nested, labels in ((ties, tied), (incomplete, fewer)):
            nested.setdefault(str(protocol), {}).setdefault(str(metric), {})[str(stem)] = labels
    return {"ties": ties, "incomplete": incomplete}


def _number(value: Any) -> float | None:
    number = float(value)
    return round(number, DIGITS) if math.isfinite(number) else None
