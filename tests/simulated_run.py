"""The evaluation of a short simulated song, by the command line."""

from __future__ import annotations

import csv
from pathlib import Path

from songs import white, write

QUICK = ("--dataset", "simulated", "--track", "*-000", "--duration", 3, "--no-isolate")
RUN = Path("results/simulated-test-3s")
"""Where it is written."""


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def short_song(path: str) -> Path:
    """Write three seconds of noise, another one under each length of name."""
    return write(path, white(2, 24000, seed=len(path), peak=0.2), 8000)
