"""Tidy tables made from the score store: one row a track and score, and their summary."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sepbench._util.files import write_atomic
from sepbench._util.text import printable
from sepbench.evaluation.store import Record, StemResult
from sepbench.metrics.protocols import PROTOCOLS, Protocol, Reduction, reduce, shown, used
from sepbench.registry.metrics import protocols_of
from sepbench.report.statistics import Interval, interval, pooled_interval
from sepbench.stems import in_order

_FORMULA = ("=", "+", "-", "@")

SCORE_COLUMNS = (
    "dataset subset track label method options oracle trained_on_this published stem set metric "
    "protocol value mixture improvement frames frames_used error"
).split()
"""Columns of ``scores.csv``; values in the protocol's unit, ``frames_used`` from 0 to 1."""

SUMMARY_COLUMNS = (
    "dataset subset version label method options oracle trained_on_this published stem set metric "
    "protocol statistic value low high improvement tracks failed frames_used seconds_per_second "
    "peak_memory_mb error"
).split()
"""Columns of ``summary.csv``; ``low`` and ``high`` are the ends of the 95 % interval of ``value``
over tracks, ``version`` is that of sepbench, ``tracks`` counts those with a score,
``seconds_per_second`` is processing time over length of audio."""


def scores(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row for each track, method variant, stem, metric and protocol.

    A failure is one row with its ``error``. The ``pooled`` protocol has no score of a single
    track, so it appears in the summary alone.
    """
    rows = [row for record in records for row in _score_rows(record)]
    # Whole numbers that may be missing: a failure has no windows.
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).astype({"frames": "Int64"})


def summary(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row for each method variant, stem, metric, protocol and statistic over tracks.

    Improvements are over the unprocessed mixture in the same windows of the same tracks.
    """
    rows = []
    for label in sorted({record.label for record in records}):
        group = [record for record in records if record.label == label]
        rows += list(_summary_rows(group))
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def summary_of_published(rows: pd.DataFrame) -> pd.DataFrame:
    """Return summary rows of scores that were published, not computed here.

    ``rows`` are as in ``scores.csv``; the score of the mixture, speed and memory are not known.
    """
    keys = [
        "dataset",
        "subset",
        "label",
        "method",
        "options",
        "oracle",
        "published",
        "stem",
        "set",
        "metric",
        "protocol",
    ]
    summaries = []
    for key, group in rows.groupby(keys, sort=False, dropna=False):
        facts = dict(zip(keys, key, strict=True))
        for statistic in PROTOCOLS[str(facts["protocol"])].over_tracks:
            values = group["value"].to_numpy(dtype=float)
            summaries.append(
                {
                    **facts,
                    "statistic": statistic,
                    "value": reduce(statistic, values),
                    **interval(values, statistic)._asdict(),
                    "tracks": len(group),
                }
            )
    frame = pd.DataFrame(summaries, columns=SUMMARY_COLUMNS)
    return frame.assign(trained_on_this=False, failed=0, error="")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table with six decimals, whole or not at all."""
    text = io.StringIO()
    frame.map(_cell).to_csv(text, index=False, float_format="%.6f", lineterminator="\n")
    write_atomic(path, text.getvalue())


def _cell(value: Any) -> Any:
    """Return a text that a spreadsheet would take for a formula with an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _options_text(record: Record) -> str:
    return record.label[len(record.method) + 1 : -1]


def _facts(record: Record) -> dict[str, Any]:
    return {
        "label": printable(record.label),
        "method": printable(record.method),
        "options": printable(_options_text(record)),
        "oracle": record.oracle,
        "trained_on_this": record.trained_on_this,
        "published": False,
    }


def _score_rows(record: Record) -> Iterator[dict[str, Any]]:
    facts = {
        "dataset": record.dataset,
        "subset": record.subset,
        "track": printable(record.track),
        **_facts(record),
        "error": printable(record.error or ""),
    }
    if record.error is not None:
        yield facts
    for stem, result in _in_order(record.stems):
        for protocol, metric in _measured(result):
            if protocol.id == "pooled":
                continue
            estimate, mixture = _paired(result, protocol, metric)
            value, floor = protocol.of_track(estimate), protocol.of_track(mixture)
            yield {
                **facts,
                "stem": stem,
                "set": "+".join(result.targets),
                "metric": shown(metric),
                "protocol": protocol.id,
                "value": value,
                "mixture": floor,
                "improvement": protocol.goodness(value) - protocol.goodness(floor),
                "frames": len(estimate),
                "frames_used": used(estimate),
            }


def _summary_rows(records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    done = [record for record in records if record.error is None]
    errors = [record.error for record in records if record.error is not None]
    facts = {
        "dataset": " or ".join(sorted({record.dataset for record in records})),
        "subset": " or ".join(sorted({record.subset for record in records})),
        "version": " or ".join(sorted({_version(record) for record in records})),
        **_facts(records[0]),
        "trained_on_this": any(record.trained_on_this for record in records),
        "failed": len(errors),
        "error": printable(errors[0]) if errors else "",
        "seconds_per_second": reduce("median", [_speed(record) for record in done]),
        "peak_memory_mb": max((r.peak_bytes or 0 for r in done), default=np.nan) / 1e6,
        "tracks": len(done),
    }
    if not done:
        yield facts
    for stem in in_order(stem for record in done for stem in record.stems):
        results = [record.stems[stem] for record in done if stem in record.stems]
        measured = dict.fromkeys(pair for result in results for pair in _measured(result))
        for protocol, metric in measured:
            having = [result for result in results if (protocol, metric) in _measured(result)]
            pairs = [_paired(result, protocol, metric) for result in having]
            for statistic in protocol.over_tracks:
                value = protocol.of_data_set([pair[0] for pair in pairs], statistic)
                yield {
                    **facts,
                    "stem": stem,
                    "set": " or ".join(dict.fromkeys("+".join(r.targets) for r in having)),
                    "metric": shown(metric),
                    "protocol": protocol.id,
                    "statistic": statistic,
                    "value": value,
                    **_interval([pair[0] for pair in pairs], protocol, statistic)._asdict(),
                    "improvement": _improvement(pairs, protocol, value, statistic),
                    "tracks": sum(isfinite(protocol.of_track(scores)) for scores, _ in pairs),
                    "frames_used": used([score for pair in pairs for score in pair[0]]),
                }


def _interval(
    tracks: Sequence[Sequence[float]], protocol: Protocol, statistic: Reduction
) -> Interval:
    if protocol.id == "pooled":
        return pooled_interval(tracks)
    return interval([protocol.of_track(scores) for scores in tracks], statistic)


def _improvement(
    pairs: Sequence[tuple[list[float], list[float]]],
    protocol: Protocol,
    value: float,
    statistic: Any,
) -> float:
    if protocol.id == "pooled":
        return value - protocol.of_data_set([mixture for _, mixture in pairs])
    good = [[protocol.goodness(protocol.of_track(x)) for x in pair] for pair in pairs]
    return reduce(statistic, [theirs - mixture for theirs, mixture in good])


def _version(record: Record) -> str:
    return str(record.identity.get("sepbench", ""))


def _in_order(stems: Mapping[str, StemResult]) -> list[tuple[str, StemResult]]:
    return [(name, stems[name]) for name in in_order(stems)]


def _measured(result: StemResult) -> list[tuple[Protocol, str]]:
    return [
        (protocol, metric)
        for protocol in protocols_of([*result.frames, *result.totals]).values()
        for metric in protocol.metrics
        if metric in (result.frames if protocol.source == "frames" else result.totals)
    ]


def _paired(result: StemResult, protocol: Protocol, metric: str) -> tuple[list[float], list[float]]:
    """Return the scores of the estimate and of the mixture in the windows that both have."""
    if protocol.source == "totals":
        return [result.totals[metric]], [result.mixture_totals.get(metric, np.nan)]
    estimate = result.frames[metric]
    mixture = result.mixture_frames.get(metric, [np.nan] * len(estimate))
    usable = np.isfinite(estimate)
    return estimate, [m if use else np.nan for m, use in zip(mixture, usable, strict=True)]


def _speed(record: Record) -> float:
    if record.seconds is None or not record.audio_seconds:
        return np.nan
    return record.seconds / record.audio_seconds
