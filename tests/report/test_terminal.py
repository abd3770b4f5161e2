from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from sepbench.evaluation.records import Record, StemResult
from sepbench.evaluation.store import Settings
from sepbench.report import tables, terminal

SETTINGS = Settings("some", "test")
STEMS = ("vocals", "drums", "bass", "other", "accompaniment", "harmonic", "percussive")


def record(label: str, score: float, *, oracle: bool = False, trained: bool = False) -> Record:
    stem = StemResult(STEMS, {"SDR": [score]}, {}, {"SDR": [0.0]}, {})
    return Record(
        dataset="some",
        subset="test",
        track="a",
        label=label,
        method=label.partition("[")[0],
        options={},
        fingerprint="",
        identity={},
        stems=dict.fromkeys(STEMS, stem),
        seconds=1.0,
        audio_seconds=60.0,
        peak_bytes=10**9,
        oracle=oracle,
        trained_on_this=trained,
    )


def text(table: Table, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


RECORDS = [
    record("worse[margin=2]", -3.25, trained=True),
    record("better", 10.5),
    record("ceiling", 12.0, oracle=True),
]


def test_eighty_columns_hold_seven_stems_with_every_digit_best_first() -> None:
    shown = text(terminal.scores(tables.summary(RECORDS), "sisec18"))
    lines = [line.split() for line in shown.splitlines()]
    rows = [line for line in lines if line and line[0] in {"worse[margin=2]", "better", "ceiling"}]
    assert rows == [
        ["ceiling", "*", *["12.00"] * 7],
        ["better", *["10.50"] * 7],
        ["worse[margin=2]", "†", *["-3.25"] * 7],
    ]
    told = list(terminal.heading(tables.summary(RECORDS), "sisec18", SETTINGS))
    assert told[-2].startswith("†")


def test_what_a_method_costs_is_next_to_what_it_was_scored_on() -> None:
    shown = text(terminal.costs(tables.summary(RECORDS), "sisec18"))
    (row,) = [line.split() for line in shown.splitlines() if line.startswith("better")]
    assert row == ["better", "1", "100%", "60", "1000", "MB"]


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_none_is_a_dash_at_the_end(score: float) -> None:
    summary = tables.summary([record("none", score), *RECORDS])
    lines = text(terminal.scores(summary, "sisec18")).splitlines()
    (row,) = [line for line in lines if line.startswith("none")]
    assert row.split() == ["none", *["-"] * 7]
    assert lines.index(row) > max(i for i, line in enumerate(lines) if line.startswith("worse"))


def test_failures_are_reported_with_their_first_reason() -> None:
    failed = Record("some", "test", "b", "better", "better", {}, "", {}, error="no luck")
    told = list(terminal.failures(tables.summary([*RECORDS, failed])))
    assert told == ["better failed on 1 track: no luck"]


def test_below_the_score_of_several_tracks_is_its_interval() -> None:
    tracks = [replace(record("one", score), track=str(score)) for score in (1.0, 2.0, 3.0)]
    shown = text(terminal.scores(tables.summary(tracks), "sisec18"))
    beside, below = shown.splitlines()[-2:]
    assert beside.startswith("one")
    assert "2.00" in beside
    assert below.startswith(" ")
    assert "1.0..3.0" in below
    told = list(terminal.heading(tables.summary(tracks), "sisec18", SETTINGS))
    assert any("95 % interval" in line for line in told)
    assert ".." not in text(terminal.scores(tables.summary(RECORDS), "sisec18"))


def test_metrics_with_a_protocol_of_their_own_are_named_with_the_command_that_shows_them() -> None:
    two = replace(
        record("unet", 5.0),
        stems={"vocals": StemResult(("vocals",), {"SDR": [5.0]}, {"2f-model": 40.0}, {}, {})},
    )
    summary = tables.summary([two])
    assert list(terminal.unseen(summary, "sisec18", Path("run"))) == [
        "scored too: 2f-model; shown by 'sepbench report run --protocol 2f-model'"
    ]
    assert not list(terminal.unseen(summary, "2f-model", Path("run")))
    assert not list(terminal.unseen(tables.summary([record("unet", 5.0)]), "mdx", Path("run")))
