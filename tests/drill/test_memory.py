"""Three hours of sound in under 2 GB: through every method in blocks; others are refused it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sepbench import registry
from sepbench.errors import MethodError
from sepbench.inference import memory

from .trying import Tally, times

pytestmark = pytest.mark.drill

MOST = 2e9
"""Bytes of resident memory that a process may come to, libraries and all."""

LENGTHS = (900, 2700)
"""Seconds; the growth of shorter songs is that of a process which warms up."""

HOURS = 3 * 3600.0
LIMIT = 3600.0
"""Seconds for both lengths of one method."""

FOLDER = Path(__file__).parents[2] / "benchmarks"
BESIDE = ("ensemble[mask-cnn+unet]",)
"""In blocks too; the members of the default include one that needs the whole song."""


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Every method that can run here, and whether it works in blocks."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from memory import methods

    return {**methods(), **dict.fromkeys(BESIDE, True)}


def test_memory_of_methods_in_blocks(tally: Tally, in_blocks: dict[str, bool]) -> None:
    """Measured on two lengths past the first blocks; three hours by the growth between them."""
    names = [name for name, blocks in in_blocks.items() if blocks]
    for number in times(len(names)):
        tally.note(_fault(names[number]))


def test_memory_of_methods_of_whole_songs(
    tally: Tally, in_blocks: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 2 GB free they are refused the song before they begin."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=MOST))
    names = [name for name, blocks in in_blocks.items() if not blocks]
    for number in times(len(names)):
        (method,) = registry.resolve(names[number])
        try:
            memory.require(method.declared, method.label, HOURS, 44100, 2)
            tally.note(f"{method.label}: begun")
        except MethodError as error:
            tally.note(None if "whole song in memory" in str(error) else str(error))


def _fault(name: str) -> str | None:
    words = [sys.executable, str(FOLDER / "memory.py"), name, "--json", "--seconds"]
    try:
        done = subprocess.run(
            [*words, *map(str, LENGTHS)], capture_output=True, text=True, check=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"{name}: not done after {LIMIT:g} s"
    row = json.loads(done.stdout)
    if "error" in row:
        return f"{name}: {row['error']}"
    return None if row["three_hours"] < MOST else f"{name}: {row['three_hours'] / 1e9:.2f} GB"
