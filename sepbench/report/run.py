"""Everything that is derived from a run's scores, written beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sepbench.report import boxplot, tables
from sepbench.results import Store


@dataclass(frozen=True)
class Report:
    """The tables of a run, and the files that hold them and their pictures."""

    scores: pd.DataFrame
    summary: pd.DataFrame
    files: list[Path]


def write(store: Store, protocol: str) -> Report:
    """Make ``scores.csv``, ``summary.csv`` and the boxplots of a run from its stored scores."""
    records = list(store.records())
    scores, summary = tables.scores(records), tables.summary(records)
    files = []
    for name, frame in (("scores.csv", scores), ("summary.csv", summary)):
        files.append(store.folder / name)
        tables.write_csv(frame, files[-1])
    figure = boxplot.boxplot(scores, protocol=protocol)
    files += boxplot.save(figure, store.folder)
    return Report(scores, summary, files)
