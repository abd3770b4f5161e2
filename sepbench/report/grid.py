"""The table of a run for all output formats: one row per method, one column per stem.

The best score of each stem is marked, and all scores without a significant difference to it: those
whose interval of the differences by track contains zero.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from sepbench.errors import SepbenchError
from sepbench.metrics.protocols import Protocol, shown
from sepbench.registry.metrics import of_score
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report.caption import DAGGER, DOUBLE_DAGGER
from sepbench.report.compare import goodness
from sepbench.report.intervals import interval
from sepbench.report.lacking import lacking
from sepbench.stems import in_order


@dataclass(frozen=True)
class Cell:
    """A score with its interval, and whether it is the best or ties with the best.

    One of fewer tracks than those of others is ``incomplete``, and not ranked with them.
    """

    value: float
    low: float
    high: float
    tracks: int
    best: bool = False
    tie: bool = False
    incomplete: bool = False


@dataclass(frozen=True)
class Row:
    """A method, its scores by stem, and their provenance (empty in the table of one run)."""

    label: str
    oracle: bool
    trained_on_this: bool
    published: bool
    cells: dict[str, Cell]
    provenance: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The label with marks: ``*`` for an oracle, a dagger if trained on this set."""
        return self.label + " *" * self.oracle + f" {DAGGER}" * self.trained_on_this


@dataclass(frozen=True)
class Grid:
    """The content of a table: ordered rows, the stems of its columns, and notes below."""

    rows: list[Row]
    stems: list[str]
    metric: str
    protocol: Protocol
    notes: list[str]

    @property
    def facts(self) -> list[str]:
        """The columns of provenance."""
        return list(self.rows[0].provenance) if self.rows else []


def grid(
    scores: pd.DataFrame, summary: pd.DataFrame, protocol: str, metric: str | None = None
) -> Grid:
    """Return the table of one metric, by default the protocol's first; the best method on top.

    ``scores`` and ``summary`` are rows as in ``scores.csv`` and ``summary.csv``. Raises
    `SepbenchError` for a metric that the protocol lacks, or that has no scores.
    """
    rules = find_protocol(protocol)
    name = metric or shown(rules.metrics[0])
    rules.check(name)
    rules = rules.of(name)
    statistic = rules.over_tracks[0]
    chosen = summary[
        summary["protocol"].eq(protocol)
        & summary["metric"].eq(name)
        & summary["statistic"].eq(statistic)
    ]
    if metric is not None and chosen.empty:
        owners = of_score(metric)
        cure = f"; evaluate with --metric {owners[0]}" if owners else ""
        raise SepbenchError(f"no scores of {metric} under protocol {protocol}{cure}")
    tracks = scores[scores["protocol"].eq(protocol) & scores["metric"].eq(name)]
    stems = in_order(chosen["stem"].dropna())
    unequal = lacking(scores, protocol, name)
    found = {stem: marks(chosen, tracks, stem, rules, unequal) for stem in stems}
    rows = [
        _row(str(label), group, found, unequal)
        for label, group in chosen.groupby("label", sort=False)
    ]
    rows.sort(key=lambda row: (not row.oracle, [_worth(row, stem, rules) for stem in stems]))
    notes = _notes(rows, rules, name)
    own = summary.loc[~summary["published"].eq(True), "label"]
    if absent := sorted(set(own) - set(chosen["label"])):
        notes.append(f"No {name} of {', '.join(absent)}.")
    return Grid(rows, stems, name, rules, notes)


def _row(
    label: str,
    rows: pd.DataFrame,
    found: Mapping[str, Mapping[str, tuple[bool, bool]]],
    unequal: Collection[tuple[str, str]],
) -> Row:
    """Return the row of a method from its rows of the summary and the `marks` of each stem."""
    cells = {
        str(row["stem"]): Cell(
            float(row["value"]),
            float(row["low"]),
            float(row["high"]),
            int(row["tracks"]),
            *found[str(row["stem"])].get(label, (False, False)),
            incomplete=(label, str(row["stem"])) in unequal,
        )
        for _, row in rows.iterrows()
    }
    first = rows.iloc[0]
    return Row(
        label,
        oracle=bool(first["oracle"]),
        trained_on_this=bool(first["trained_on_this"]),
        published=bool(first["published"]),
        cells=cells,
    )


def _worth(row: Row, stem: str, rules: Protocol) -> tuple[int, float]:
    """Return a sort key: the best score first, then those of fewer tracks, missing ones last."""
    cell = row.cells.get(stem)
    if cell is None or math.isnan(cell.value):
        return 2, 0.0
    return int(cell.incomplete), -rules.goodness(cell.value)


def marks(
    chosen: pd.DataFrame,
    tracks: pd.DataFrame,
    stem: str,
    rules: Protocol,
    unequal: Collection[tuple[str, str]],
) -> dict[str, tuple[bool, bool]]:
    """Return for each label whether it is the best of a stem, and whether it ties with the best.

    Oracles do not compete, nor the methods and stems of ``unequal``, as `lacking` finds them; of
    one method alone nothing is said.
    """
    rows = chosen[chosen["stem"].eq(stem) & ~chosen["oracle"].eq(True) & chosen["value"].notna()]
    rows = rows[[(str(label), stem) not in unequal for label in rows["label"]]]
    if len(rows) < 2:  # With a single method, a mark of the best says nothing.
        return {}
    good = rows["value"].astype(float).map(rules.goodness).to_numpy()
    best = str(rows["label"].iloc[int(good.argmax())])
    found = {best: (True, False)}
    of_stem = tracks[tracks["stem"].eq(stem)]
    values = of_stem.pivot_table(index=["subset", "track"], columns="label", values="value")
    values = goodness(values, rules)
    for label in rows["label"]:
        if label != best and label in values and best in values:
            ends = interval(values[label] - values[best], rules.over_tracks[0])
            # NaN, from too few tracks, does not count as a tie.
            found[str(label)] = (False, bool(ends.low <= 0 <= ends.high))
    return found


def _notes(rows: Iterable[Row], rules: Protocol, metric: str) -> list[str]:
    rows = list(rows)
    tracks = sorted({cell.tracks for row in rows for cell in row.cells.values()})
    counted = " to ".join(dict.fromkeys(map(str, (tracks[0], tracks[-1])))) if tracks else "0"
    unit = f" in {rules.unit}" if rules.unit else ""
    notes = [
        f"{metric}{unit}, protocol {rules.id}: {rules.caption}; {rules.better}. Tracks: {counted}."
    ]
    if any(math.isfinite(cell.low) for row in rows for cell in row.cells.values()):
        # Without scores of single tracks nothing can tie.
        ties = (
            "; italic: not significantly different "
            "(the interval of the differences by track contains zero)"
        )
        shown = "" if rules.is_pooled else ties
        notes.append(f"In brackets the 95 % interval over tracks. Bold: the best{shown}.")
    if any(cell.incomplete for row in rows for cell in row.cells.values()):
        notes.append(f"{DOUBLE_DAGGER} not all tracks: not ranked with the others.")
    if any(row.oracle for row in rows):
        notes.append("* oracle: made from the true stems.")
    if any(row.trained_on_this for row in rows):
        notes.append(f"{DAGGER} trained on songs of this very set.")
    return notes
