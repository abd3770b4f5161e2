"""Every method that works in blocks: three hours of sound in under 2 GB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .trying import Tally

pytestmark = pytest.mark.drill

MOST = 2e9
"""Bytes of resident memory that a process may come to, libraries and all."""

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "memory.py"


def test_three_hours_through_every_method(tally: Tally) -> None:
    """Measured on two lengths past the first blocks; three hours by the growth between them."""
    words = [sys.executable, BENCHMARK, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        if "error" in row:
            tally.note(f"{row['method']}: {row['error']}")
        elif row["in_blocks"]:
            told = f"{row['method']}: {row['three_hours'] / 1e9:.2f} GB"
            tally.note(None if row["three_hours"] < MOST else told)
