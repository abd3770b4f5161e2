"""Writes the table of a run as LaTeX, Markdown, HTML, CSV or JSON."""

from __future__ import annotations

import html
import io
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from sepbench._util.plain import finite
from sepbench.report.caption import DAGGER, DOUBLE_DAGGER
from sepbench.report.grid import Cell, Grid, Row


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
    return "\n".join([*lines, "", *map(_md, table.notes)]) + "\n"


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
    """Return one mapping per method and stem."""
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
            "tracks": cell.tracks,
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
    plain = finite({"rows": records(table), "notes": table.notes})
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


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
    text += DOUBLE_DAGGER * cell.incomplete
    return text if math.isnan(cell.low) else f"{text} [{cell.low:.2f}, {cell.high:.2f}]"


def _tex_cell(cell: Cell | None) -> str:
    if cell is None or math.isnan(cell.value):
        return ""
    number = f"${cell.value:.2f}$"
    if cell.best:
        number = rf"$\mathbf{{{cell.value:.2f}}}$"
    elif cell.tie:
        number = rf"$\mathit{{{cell.value:.2f}}}$"
    number += _TEX[DOUBLE_DAGGER] * cell.incomplete
    if math.isnan(cell.low):
        return number
    return rf"{number} {{\footnotesize$[{cell.low:.2f}, {cell.high:.2f}]$}}"


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # TeX's own fonts have other letters in their places.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    DAGGER: r"$\dagger$",
    DOUBLE_DAGGER: r"$\ddagger$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in text)


def _md(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\|*_`<[]" else letter for letter in text)


def _bar(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
