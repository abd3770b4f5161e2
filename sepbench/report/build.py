"""Everything that is derived from a run's scores, written beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sepbench.errors import SepbenchError
from sepbench.evaluation.store import Record, Settings, Store
from sepbench.report import boxplot, published, tables


@dataclass(frozen=True)
class Report:
    """The tables of a run, the files that hold them and their pictures, and what is missing why."""

    scores: pd.DataFrame
    summary: pd.DataFrame
    files: list[Path]
    remarks: list[str]


def write(store: Store, *, protocol: str, references: tuple[str, ...] = ()) -> Report:
    """Make ``scores.csv``, ``summary.csv`` and the boxplots of a run from its stored scores.

    ``references`` are names of published scores (``sisec18``); those that do not fit the run are
    left out, and the remarks of the report say why.
    """
    records, damaged = store.contents()
    if damaged and not records:
        raise SepbenchError(f"{damaged[0]}: damaged; 'sepbench evaluate' makes it again")
    if not records:
        raise SepbenchError(f"{store.folder}: no scores yet; 'sepbench evaluate' makes them")
    settings = store.settings
    scores, summary = tables.scores(records), tables.summary(records)
    remarks = [f"{path}: damaged, left out; 'sepbench evaluate' makes it again" for path in damaged]
    remarks += _unequal(records)
    words = [*_span(settings)]
    for _ in references:
        whole = settings.start == 0 and settings.duration is None
        rows, reasons = published.published_rows(scores, whole_tracks=whole)
        remarks += reasons
        if not rows.empty:
            words.append(published.caption(settings.dataset))
            scores = _joined(scores, rows)
            summary = _joined(summary, tables.summary_of_published(rows))
    files = []
    for name, frame in (("scores.csv", scores), ("summary.csv", summary)):
        files.append(store.folder / name)
        tables.write_csv(frame, files[-1])
    try:
        figure = boxplot.boxplot(scores, protocol=protocol, remarks=words)
    except SepbenchError as reason:
        remarks.append(f"no plot: {reason}")
        for ending in ("png", "svg"):  # That of another protocol would not fit the table.
            (store.folder / f"boxplot.{ending}").unlink(missing_ok=True)
    else:
        files += boxplot.save(figure, store.folder)
    return Report(scores, summary, files, remarks)


def _unequal(records: Sequence[Record]) -> list[str]:
    """Say where methods were run on different tracks, for then their figures do not compare."""
    tracks: dict[str, set[tuple[str, str]]] = {}
    for record in records:
        tracks.setdefault(record.label, set()).add((record.subset, record.track))
    most = max(len(names) for names in tracks.values())
    fewer = [label for label, names in tracks.items() if len(names) < most]
    if not fewer:
        return []
    return [f"not run on all {most} tracks, so not comparable: {', '.join(fewer)}"]


def _span(settings: Settings) -> list[str]:
    if settings.start == 0 and settings.duration is None:
        return []
    end = "the end" if settings.duration is None else f"{settings.start + settings.duration:g} s"
    return [f"Of each track, the part from {settings.start:g} s to {end}."]


def _joined(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    # Columns without any value have no type of their own to agree on.
    return pd.concat([ours, theirs.dropna(axis="columns", how="all")], ignore_index=True)
