"""The text of ``scores.csv``, written straight from the rows of records.

A run of 100 methods on 1,000 tracks has 1.6 million lines. All lines of a record begin alike and
differ in numbers, so each text is formatted once, and the numbers of a record together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from sepbench.report.csv_text import cell
from sepbench.report.scored import Key, Scored
from sepbench.report.tables import FACTS, SCORE_COLUMNS, facts_of, shown_rows, texts_of

_TOGETHER = 500
"""Number of records whose lines are written at a time."""

_NUMBERS = "%.6f,%.6f,%.6f,%.0f,%.6f"
"""The format of `sepbench.report.scored.VALUES`: ``frames`` is a whole number."""


def score_lines(tracks: Sequence[Scored]) -> Iterator[str]:
    """Yield the text of `sepbench.report.tables.score_table` as CSV, in parts."""
    yield ",".join(SCORE_COLUMNS) + "\n"
    for start in range(0, len(tracks), _TOGETHER):
        yield "".join(map(_of_record, tracks[start : start + _TOGETHER]))


def _of_record(one: Scored) -> str:
    facts = facts_of(one.record)
    before = ",".join(cell(facts[name]) for name in FACTS if name != "error")
    after = f",{cell(facts['error'])}\n"
    lines = []
    if one.record.error is not None:  # A row of its own, without any score.
        lines.append(f"{before}{',' * (len(SCORE_COLUMNS) - len(FACTS))}{after}")
    places, texts, form = _layout(one.keys)
    if texts:
        numbers = (form % tuple(one.values[places].ravel().tolist())).replace("nan", "")
        for text, own in zip(texts, numbers.split("\n"), strict=True):
            lines.append(f"{before},{text},{own}{after}")
    return "".join(lines)


@lru_cache(maxsize=1024)
def _layout(keys: tuple[Key, ...]) -> tuple[list[int], list[str], str]:
    """Return which rows are in the table, their texts, and the format of all their numbers."""
    texts = [",".join(map(cell, row)) for row in texts_of(keys)]
    return shown_rows(keys).tolist(), texts, "\n".join([_NUMBERS] * len(texts))
