"""Writes tables as CSV, with six decimals and texts safe for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

_FORMULA = ("=", "+", "-", "@")


def lines(frame: pd.DataFrame, *, heading: bool = True) -> Iterator[str]:
    """Yield the rows of a table as CSV, below their heading unless it is left out."""
    if heading:
        yield ",".join(map(_quoted, frame.columns)) + "\n"
    columns = [list(map(cell, frame[name].tolist())) for name in frame]
    for row in zip(*columns, strict=True):
        yield ",".join(row) + "\n"


def cell(value: Any) -> str:
    """Return the text of a cell, empty for a missing value."""
    if isinstance(value, str):
        # A spreadsheet would take it for a formula.
        return _quoted(f"'{value}" if value.startswith(_FORMULA) else value)
    if pd.isna(value):
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _quoted(text: str) -> str:
    if any(letter in text for letter in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
