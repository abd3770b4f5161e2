"""Tidy tables from the score store: one row per track and score, and their summary."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from typing import Protocol as TypingProtocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepbench._util.files import write_atomic
from sepbench._util.text import printable
from sepbench.evaluation.records import Record
from sepbench.metrics.protocols import PROTOCOLS, reduce, shown
from sepbench.registry.metrics import protocols_of
from sepbench.report.csv_text import lines
from sepbench.report.intervals import interval
from sepbench.report.over_tracks import columns, intervals_of, of_pool, of_tracks, pools, used
from sepbench.report.scored import POOLED, VALUES, Floats, Scored, scored
from sepbench.stems import in_order

SCORE_COLUMNS = (
    "dataset subset track label method options oracle trained_on_this published stem set metric "
    "protocol value mixture improvement frames frames_used error"
).split()
"""Columns of ``scores.csv``; values in the protocol's unit, ``frames_used`` from 0 to 1."""

FLAGS = ("oracle", "trained_on_this", "published")
FACTS = {
    name: bool if name in FLAGS else object
    for name in ("dataset", "subset", "track", "label", "method", "options", *FLAGS, "error")
}
"""Columns shared by all rows of a record, and their types."""

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
    track and is only in the summary.
    """
    return score_table([scored(record) for record in records])


def score_table(tracks: Sequence[Scored]) -> pd.DataFrame:
    """Return the table of `scores` from existing rows."""
    layouts = layouts_of(tracks)
    places = [layouts[id(track.keys)][0] for track in tracks]
    failed = [track.record.error is not None for track in tracks]
    counts = np.array(
        [len(rows) + fail for rows, fail in zip(places, failed, strict=True)], dtype=np.intp
    )
    facts = [facts_of(track.record) for track in tracks]
    cells: dict[str, Any] = {
        name: np.repeat(np.array([fact[name] for fact in facts], dtype=kind), counts)
        for name, kind in FACTS.items()
    }
    keys = np.full((counts.sum(), 4), np.nan, dtype=object)
    values = np.full((counts.sum(), len(VALUES)), np.nan)
    end = 0
    for track, rows, fail in zip(tracks, places, failed, strict=True):
        start = end + fail  # A failure is a row of its own, without any score.
        end = start + len(rows)
        keys[start:end] = layouts[id(track.keys)][1]
        values[start:end] = track.values[rows]
    cells |= dict(zip(("stem", "set", "metric", "protocol"), keys.T, strict=True))
    cells |= dict(zip(VALUES, values.T, strict=True))
    # Integers that may be missing: a failure has no windows.
    cells["frames"] = pd.array(cells["frames"], dtype="Int64")
    # The columns are not copied: those of 100 methods and 1,000 tracks take 200 MB.
    return pd.DataFrame({name: cells[name] for name in SCORE_COLUMNS}, copy=False)


def summary(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row for each method variant, stem, metric, protocol and statistic over tracks.

    Improvements are over the unprocessed mixture in the same windows of the same tracks.
    """
    return summary_table([scored(record) for record in records])


class Summaries(TypingProtocol):
    """Cached rows of methods by signature, kept between reports."""

    def known(self, signature: str) -> list[dict[str, Any]] | None:
        """Return the cached rows, or None."""

    def keep(self, signature: str, rows: list[dict[str, Any]]) -> None:
        """Cache the rows of a method."""


def summary_table(tracks: Sequence[Scored], kept: Summaries | None = None) -> pd.DataFrame:
    """Return the table of `summary` from existing rows.

    Rows of a method that are ``kept`` are not computed again.
    """
    groups: dict[str, list[Scored]] = {}
    for track in tracks:
        groups.setdefault(track.record.label, []).append(track)
    rows = []
    for label in sorted(groups):
        signature = _signature(groups[label])
        found = kept.known(signature) if kept is not None and signature else None
        if found is None:
            found = list(_summary_rows(groups[label]))
            if kept is not None and signature:
                kept.keep(signature, found)
        rows += found
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def _signature(tracks: Sequence[Scored]) -> str:
    """Return a digest of the inputs of a method's summary, "" if unknown."""
    if not all(track.stamp for track in tracks):
        return ""
    digest = hashlib.sha256(tracks[0].record.label.encode("utf-8", "surrogatepass"))
    # Most tracks share one tuple of keys, whose hash takes longer than a look at its identity.
    for keys in dict.fromkeys({id(track.keys): track.keys for track in tracks}.values()):
        digest.update(repr(keys).encode("utf-8", "surrogatepass"))
    digest.update("".join(track.stamp for track in tracks).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def summary_of_published(rows: pd.DataFrame) -> pd.DataFrame:
    """Return summary rows of published scores.

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
    """Write a table with six decimals, atomically."""
    write_atomic(path, lines(frame))


_printable = lru_cache(maxsize=4096)(printable)
"""Names repeat in a hundred thousand records."""


def _options_text(record: Record) -> str:
    # A renamed record has a suffix, as in "hpss[margin=2] (1)".
    own = record.label[len(record.method) :].rpartition("]")[0]
    return own[1:]


def facts_of(record: Record) -> dict[str, Any]:
    """Return the cells that all rows of a record share."""
    return {
        "dataset": record.dataset,
        "subset": record.subset,
        "track": _printable(record.track),
        "label": _printable(record.label),
        "method": _printable(record.method),
        "options": _printable(_options_text(record)),
        "oracle": record.oracle,
        "trained_on_this": record.trained_on_this,
        "published": False,
        "error": printable(record.error or ""),
    }


def layouts_of(
    tracks: Iterable[Scored],
) -> dict[int, tuple[NDArray[np.intp], NDArray[np.object_]]]:
    """Return which rows are in the table of `scores`, with their stem, set, metric and protocol.

    By the identity of the keys, which most records share: a look at it takes less time than a hash.
    """
    found = {}
    for keys in {id(track.keys): track.keys for track in tracks}.values():
        rows = [row for row, key in enumerate(keys) if key.protocol != POOLED]
        texts = np.empty((len(rows), 4), dtype=object)
        for place, key in enumerate(keys[row] for row in rows):
            texts[place] = key.stem, key.set, shown(key.score), key.protocol
        found[id(keys)] = np.array(rows, dtype=np.intp), texts
    return found


def _summary_rows(tracks: Sequence[Scored]) -> Iterator[dict[str, Any]]:
    records = [track.record for track in tracks]
    done = [record for record in records if record.error is None]
    errors = [record.error for record in records if record.error is not None]
    peaks = [record.peak_bytes for record in done if record.peak_bytes is not None]
    facts = {
        **facts_of(records[0]),
        "dataset": " or ".join(sorted({record.dataset for record in records})),
        "subset": " or ".join(sorted({record.subset for record in records})),
        "version": " or ".join(sorted({_version(record) for record in records})),
        "trained_on_this": any(record.trained_on_this for record in records),
        "failed": len(errors),
        "error": printable(errors[0]) if errors else "",
        "seconds_per_second": reduce("median", [_speed(record) for record in done]),
        "peak_memory_mb": max(peaks, default=np.nan) / 1e6,
        "tracks": len(done),
    }
    del facts["track"]
    if not done:
        yield facts
    rules = protocols_of({key.score for track in tracks for key in track.keys})
    found = columns(tracks, rules)
    order = {stem: place for place, stem in enumerate(in_order(stem for stem, _, _ in found))}
    ends = intervals_of(found, rules)
    pool: dict[tuple[str, str], list[Floats]] = {}
    for stem, score, protocol_id in sorted(found, key=lambda key: order[key[0]]):
        what = stem, score, protocol_id
        sets, values = found[what]
        protocol = rules[protocol_id]
        of_windows = protocol.id == POOLED
        if of_windows and not pool:
            pool = pools(tracks)
        for statistic in protocol.over_tracks:
            yield {
                **facts,
                "stem": stem,
                "set": " or ".join(sets),
                "metric": shown(score),
                "protocol": protocol.id,
                "statistic": statistic,
                **(
                    of_pool(pool[stem, score])
                    if of_windows
                    else of_tracks(values, statistic, ends[what, statistic])
                ),
                "tracks": int(np.isfinite(values[:, 0]).sum()),
                "frames_used": used(values),
            }


def _version(record: Record) -> str:
    return str(record.identity.get("sepbench", ""))


def _speed(record: Record) -> float:
    if record.seconds is None or not record.audio_seconds:
        return np.nan
    return record.seconds / record.audio_seconds
