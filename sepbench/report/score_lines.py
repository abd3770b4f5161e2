"""The text of ``scores.csv``, written straight from the rows of records.

A run of 100 methods on 1,000 tracks has 1.6 million lines. All lines of a record begin alike and
differ in numbers, so each text is formatted once, and the numbers of a record together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sepbench.report.csv_text import cell
from sepbench.report.scored import Scored
from sepbench.report.tables import FACTS, SCORE_COLUMNS, facts_of, layouts_of

_TOGETHER = 500
"""Number of records whose lines are written at a time."""

_NUMBERS = "%.6f,%.6f,%.6f,%.0f,%.6f"
"""The format of `sepbench.report.scored.VALUES`: ``frames`` is a whole number."""


class _Layout(NamedTuple):
    """The rows of a record in the table, their texts, and the format of all their numbers."""

    places: list[int]
    names: list[str]
    form: str


def score_lines(tracks: Sequence[Scored]) -> Iterator[str]:
    """Yield the text of `sepbench.report.tables.score_table` as CSV, in parts."""
    yield ",".join(SCORE_COLUMNS) + "\n"
    layouts = {}
    for keys, (places, texts) in layouts_of(tracks).items():
        names = [",".join(map(cell, row)) for row in texts]
        layouts[keys] = _Layout(places.tolist(), names, "\n".join([_NUMBERS] * len(names)))
    for start in range(0, len(tracks), _TOGETHER):
        some = tracks[start : start + _TOGETHER]
        yield "".join(_of_record(one, layouts[id(one.keys)]) for one in some)


def _of_record(one: Scored, layout: _Layout) -> str:
    facts = facts_of(one.record)
    before = ",".join(cell(facts[name]) for name in FACTS if name != "error")
    after = f",{cell(facts['error'])}\n"
    lines = []
    if one.record.error is not None:  # A row of its own, without any score.
        lines.append(f"{before}{',' * (len(SCORE_COLUMNS) - len(FACTS))}{after}")
    if layout.names:
        numbers = layout.form % tuple(one.values[layout.places].ravel().tolist())
        # No number is written "nan": a score is then missing.
        for name, own in zip(layout.names, numbers.replace("nan", "").split("\n"), strict=True):
            lines.append(f"{before},{name},{own}{after}")
    return "".join(lines)
