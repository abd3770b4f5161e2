"""The drill: at least 1000 kills and 1500 hostile inputs; prints tried, survived and faults.

``SEPBENCH_DRILL=0.1`` tries a tenth, ``SEPBENCH_DRILL_SECONDS=60`` each kind for a minute. With
``SEPBENCH_DRILL_TABLE=FILE`` every kind is written down when it is done, and left out by a later
run: so a drill that is stopped goes on.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from .trying import HEADING, Tally

TALLIES: list[Tally] = []


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave the drill out unless it is asked for."""
    return None if config.option.markexpr == "drill" else True


def _kept() -> Path | None:
    return (
        Path(os.environ["SEPBENCH_DRILL_TABLE"]) if "SEPBENCH_DRILL_TABLE" in os.environ else None
    )


def _done() -> list[Tally]:
    table = _kept()
    if table is None or not table.is_file():
        return []
    return [Tally(**json.loads(line)) for line in table.read_text(encoding="utf-8").splitlines()]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, if the drill was asked for."""
    if terminalreporter.config.option.markexpr != "drill":
        return
    tallies = _done() or TALLIES
    kills = sum(tally.tried for tally in tallies if tally.kind.startswith("kills"))
    others = sum(tally.tried for tally in tallies) - kills
    terminalreporter.write_line(HEADING)
    for tally in tallies:
        terminalreporter.write_line(tally.line())
    terminalreporter.write_line(f"{kills} kills, {others} hostile inputs and limits")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.node.name)  # noqa: S311


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    made = Tally(request.node.name.removeprefix("test_"))
    if made.kind in {tally.kind for tally in _done()}:
        pytest.skip("done before, as the table says")
    yield made
    TALLIES.append(made)
    table = _kept()
    if table is not None:
        with table.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(made)) + "\n")
    assert not made.faults, made.faults[:5]
