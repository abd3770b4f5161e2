"""Every method that works in blocks: three hours of sound in under 2 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .trying import Tally, times

pytestmark = pytest.mark.drill

MOST = 2e9
"""Bytes of resident memory that a process may come to, libraries and all."""

LIMIT = 900.0
"""Seconds for both lengths of one method."""

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_three_hours_through_every_method(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured on two lengths past the first blocks; three hours by the growth between them."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from memory import methods

    names = [name for name, in_blocks in methods().items() if in_blocks]
    for number in times(len(names)):
        tally.note(_fault(names[number]))


def _fault(name: str) -> str | None:
    words = [sys.executable, str(FOLDER / "memory.py"), name, "--json"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return f"{name}: not done after {LIMIT:g} s"
    row = json.loads(done.stdout)
    if "error" in row:
        return f"{name}: {row['error']}"
    return None if row["three_hours"] < MOST else f"{name}: {row['three_hours'] / 1e9:.2f} GB"
