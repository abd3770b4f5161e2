"""The table of a run for a paper, a page or a program: a row a method, a column a stem.

The best score of each stem is marked, and every other that cannot be told from it: those whose
interval of the differences to the best, track by track, holds zero.
"""

from __future__ import annotations

import html
import io
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sepbench.metrics.protocols import Protocol, shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report import statistics
from sepbench.report.caption import DAGGER
from sepbench.report.compare import goodness
from sepbench.stems import in_order


@dataclass(frozen=True)
class Cell:
    """A score with its interval, and whether it is the best or as good as the best."""

    value: float
    low: float
    high: float
    best: bool = False
    tie: bool = False


@dataclass(frozen=True)
class Row:
    """A method, its scores by stem, and where they come from (empty in the table of one run)."""

    label: str
    oracle: bool
    trained_on_this: bool
    published: bool
    tracks: int
    cells: dict[str, Cell]
    provenance: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The label with its marks: ``*`` for an oracle, a dagger where trained on this set."""
        return self.label + " *" * self.oracle + f" {DAGGER}" * self.trained_on_this


@dataclass(frozen=True)
class Grid:
    """What a table shows: rows in order, the stems that are its columns, and the words below."""

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

    ``scores`` and ``summary`` are rows as in ``scores.csv`` and ``summary.csv``.
    """
    rules = find_protocol(protocol)
    name = metric or shown(rules.metrics[0])
    statistic = rules.over_tracks[0]
    chosen = summary[
        summary["protocol"].eq(protocol)
        & summary["metric"].eq(name)
        & summary["statistic"].eq(statistic)
    ]
    tracks = scores[scores["protocol"].eq(protocol) & scores["metric"].eq(name)]
    stems = in_order(chosen["stem"].dropna())
    found = {stem: marks(chosen, tracks, stem, rules) for stem in stems}
    rows = []
    for label, group in chosen.groupby("label", sort=False):
        cells = {
            str(row["stem"]): Cell(
                float(row["value"]),
                float(row["low"]),
                float(row["high"]),
                *found[str(row["stem"])].get(str(label), (False, False)),
            )
            for _, row in group.iterrows()
        }
        first = group.iloc[0]
        rows.append(
            Row(
                str(label),
                oracle=bool(first["oracle"]),
                trained_on_this=bool(first["trained_on_this"]),
                published=bool(first["published"]),
                tracks=int(group["tracks"].max()),
                cells=cells,
            )
        )
    rows.sort(key=lambda row: (not row.oracle, [_worth(row, stem, rules) for stem in stems]))
    return Grid(rows, stems, name, rules, _notes(rows, rules, name))


def _worth(row: Row, stem: str, rules: Protocol) -> float:
    """Return what sorts the best score first and a missing one last."""
    value = row.cells[stem].value if stem in row.cells else math.nan
    return math.inf if math.isnan(value) else -rules.goodness(value)


def marks(
    chosen: pd.DataFrame, tracks: pd.DataFrame, stem: str, rules: Protocol
) -> dict[str, tuple[bool, bool]]:
    """Return for each label whether it is the best of a stem, and whether it ties with it."""
    rows = chosen[chosen["stem"].eq(stem) & ~chosen["oracle"].eq(True) & chosen["value"].notna()]
    if rows.empty:
        return {}
    good = rows["value"].astype(float).map(rules.goodness).to_numpy()
    best = str(rows["label"].iloc[int(good.argmax())])
    found = {best: (True, False)}
    of_stem = tracks[tracks["stem"].eq(stem)]
    values = of_stem.pivot_table(index="track", columns="label", values="value")
    values = goodness(values, rules)
    for label in rows["label"]:
        if label != best and label in values and best in values:
            ends = statistics.interval(values[label] - values[best], rules.over_tracks[0])
            found[str(label)] = (False, ends.high >= 0)
    return found


def _notes(rows: Iterable[Row], rules: Protocol, metric: str) -> list[str]:
    rows = list(rows)
    tracks = sorted({row.tracks for row in rows})
    counted = " to ".join(dict.fromkeys(map(str, (tracks[0], tracks[-1])))) if tracks else "0"
    unit = f" in {rules.unit}" if rules.unit else ""
    notes = [
        f"{metric}{unit}, protocol {rules.id}: {rules.caption}; {rules.better}. Tracks: {counted}."
    ]
    if any(math.isfinite(cell.low) for row in rows for cell in row.cells.values()):
        notes.append(
            "In brackets the 95 % interval, by bootstrap over tracks. Bold: the best; italic: not "
            "told apart from it (the interval of the differences by track holds zero)."
        )
    if any(row.oracle for row in rows):
        notes.append("* oracle: made from the true stems.")
    if any(row.trained_on_this for row in rows):
        notes.append(f"{DAGGER} trained on songs of this very set.")
    return notes


def markdown(table: Grid) -> str:
    """Return the table in GitHub's Markdown."""
    lines = [
        _bar(["method", *table.stems, *table.facts]),
        _bar(["---", *["---:"] * len(table.stems), *["---"] * len(table.facts)]),
        *(
            _bar(
                [
                    _md(row.name),
                    *(_text(row, stem, "**", "_") for stem in table.stems),
                    *(_md(fact) for fact in row.provenance.values()),
                ]
            )
            for row in table.rows
        ),
    ]
    return "\n".join([*lines, "", *table.notes]) + "\n"


def latex(table: Grid) -> str:
    """Return the table as a LaTeX ``table`` with the rules of the package booktabs."""
    body = [
        " & ".join(
            [
                _tex(row.name),
                *(_tex_cell(row.cells.get(stem)) for stem in table.stems),
                *map(_tex, row.provenance.values()),
            ]
        )
        + r" \\"
        for row in table.rows
    ]
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\begin{tabular}{l" + "r" * len(table.stems) + "l" * len(table.facts) + "}",
        r"\toprule",
        " & ".join(map(_tex, ["method", *table.stems, *table.facts])) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{" + " ".join(map(_tex, table.notes)) + "}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def as_html(table: Grid) -> str:
    """Return the table as an HTML fragment; every name is escaped."""
    head = "".join(
        f'<th scope="col">{html.escape(name)}</th>' for name in [*table.stems, *table.facts]
    )
    body = "\n".join(
        f'<tr><th scope="row">{html.escape(row.name)}</th>'
        + "".join(f"<td>{_text(row, stem, 'strong', 'em', tags=True)}</td>" for stem in table.stems)
        + "".join(f"<td>{html.escape(fact)}</td>" for fact in row.provenance.values())
        + "</tr>"
        for row in table.rows
    )
    caption = html.escape(" ".join(table.notes))
    return (
        f'<table>\n<caption>{caption}</caption>\n<thead><tr><th scope="col">method</th>{head}'
        f"</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"
    )


def records(table: Grid) -> list[dict[str, Any]]:
    """Return a mapping a method and stem."""
    return [
        {
            "label": row.label,
            "oracle": row.oracle,
            "trained_on_this": row.trained_on_this,
            "published": row.published,
            "stem": stem,
            "metric": table.metric,
            "protocol": table.protocol.id,
            "statistic": table.protocol.over_tracks[0],
            "tracks": row.tracks,
            **vars(cell),
            **row.provenance,
        }
        for row in table.rows
        for stem, cell in row.cells.items()
    ]


def as_csv(table: Grid) -> str:
    """Return `records` as CSV with six decimals."""
    text = io.StringIO()
    pd.DataFrame(records(table)).to_csv(text, index=False, float_format="%.6f", lineterminator="\n")
    return text.getvalue()


def as_json(table: Grid) -> str:
    """Return `records` as JSON; a missing number is null."""
    rows = [
        {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in records(table)
    ]
    return json.dumps({"rows": rows, "notes": table.notes}, indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Grid], str]] = {
    "latex": latex,
    "markdown": markdown,
    "html": as_html,
    "csv": as_csv,
    "json": as_json,
}
"""The formats of ``report --format`` and the functions that write them."""


def _text(row: Row, stem: str, best: str, tie: str, *, tags: bool = False) -> str:
    cell = row.cells.get(stem)
    if cell is None or math.isnan(cell.value):
        return ""
    text = f"{cell.value:.2f}"
    mark = best if cell.best else tie if cell.tie else ""
    if mark:
        text = f"<{mark}>{text}</{mark}>" if tags else f"{mark}{text}{mark}"
    return text if math.isnan(cell.low) else f"{text} [{cell.low:.2f}, {cell.high:.2f}]"


def _tex_cell(cell: Cell | None) -> str:
    if cell is None or math.isnan(cell.value):
        return ""
    number = f"${cell.value:.2f}$"
    if cell.best:
        number = rf"$\mathbf{{{cell.value:.2f}}}$"
    elif cell.tie:
        number = rf"$\mathit{{{cell.value:.2f}}}$"
    if math.isnan(cell.low):
        return number
    return rf"{number} {{\footnotesize$[{cell.low:.2f}, {cell.high:.2f}]$}}"


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    DAGGER: r"$\dagger$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


def _md(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\|*_`<[]" else letter for letter in text)


def _bar(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
