from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from made_runs import make_run

from sepbench.report import formats, tables
from sepbench.report.grid import grid

NASTY = "a_b[x=1]|<script>&%"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    levels = {NASTY: 6.0, "tie": 5.95, "far": 2.0, "oracle": 9.0}
    records = make_run(tmp_path_factory.mktemp("run"), levels, 12).records()
    return grid(tables.scores(records), tables.summary(records), "sisec18")


def test_the_best_and_ties_with_it_are_marked(table) -> None:
    cells = {row.label: row.cells["vocals"] for row in table.rows}
    best = max(("tie", NASTY), key=lambda label: cells[label].value)
    (other,) = {"tie", NASTY} - {best}
    assert [label for label, cell in cells.items() if cell.best] == [best]
    assert [label for label, cell in cells.items() if cell.tie] == [other]
    assert table.rows[0].label == "oracle"
    assert all(cell.low < cell.value < cell.high for cell in cells.values())


def test_a_method_of_one_lucky_track_is_not_the_best(tmp_path) -> None:
    tracks = [f"song {n:02}" for n in range(8)]
    failed = [("lucky", name) for name in tracks[1:]]
    records = make_run(tmp_path, {"lucky": 20.0, "good": 6.0, "poor": 2.0}, tracks, failed=failed)
    found = grid(*(of(records.records()) for of in (tables.scores, tables.summary)), "sisec18")
    best = {row.label: (row.cells["vocals"].best, row.cells["vocals"].tie) for row in found.rows}
    assert best == {"lucky": (False, False), "good": (True, False), "poor": (False, False)}
    assert [row.label for row in found.rows] == ["good", "poor", "lucky"]
    note = "not all tracks: not ranked with the others."
    for text, mark in (
        (formats.markdown(found), "‡"),
        (formats.as_html(found), "‡"),
        (formats.latex(found), r"$\ddagger$"),
    ):
        assert f"{mark} {note}" in text
        marked = [line for line in text.splitlines() if mark in line and note not in line]
        assert ["lucky" in line for line in marked] == [True]
    incomplete = {row["label"]: row["incomplete"] for row in formats.records(found)}
    assert incomplete == {"good": False, "poor": False, "lucky": True}


@pytest.mark.parametrize(("protocol", "can_tie"), [("sisec18", True), ("pooled", False)])
def test_only_where_ties_can_be_told_a_note_says_how_they_look(
    tmp_path, protocol: str, can_tie: bool
) -> None:
    records = make_run(tmp_path, {"good": 6.0, "poor": 5.9}, 12).records()
    found = grid(tables.scores(records), tables.summary(records), protocol)
    (note,) = (note for note in found.notes if "Bold: the best" in note)
    assert ("italic: not significantly different" in note) == can_tie


def test_of_one_track_nobody_knows_what_ties(tmp_path) -> None:
    records = make_run(tmp_path, {"good": 6.0, "poor": 2.0}, 1).records()
    found = grid(tables.scores(records), tables.summary(records), "sisec18")
    marked = {row.label: (row.cells["vocals"].best, row.cells["vocals"].tie) for row in found.rows}
    assert marked == {"good": (True, False), "poor": (False, False)}


def test_a_method_without_scores_is_named_below_the_table(tmp_path) -> None:
    records = make_run(tmp_path, {"good": 6.0, NASTY: 2.0}, 1, failed=[(NASTY, "song 00")])
    found = grid(*(of(records.records()) for of in (tables.scores, tables.summary)), "sisec18")
    assert found.notes[-1] == f"No SDR of {NASTY}."
    assert formats.markdown(found).endswith("No SDR of a\\_b\\[x=1\\]\\|\\<script>&%.\n")


def test_markdown_has_as_many_cells_in_every_row(table) -> None:
    text = formats.markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert "**" in text
    assert "95 % interval" in text


def test_latex_escapes_names_and_has_as_many_cells_in_every_row(table) -> None:
    text = formats.latex(table)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {3}
    assert r"a\_b[x=1]\textbar{}\textless{}script\textgreater{}\&\%" in text
    assert r"\mathbf{" in text
    assert text.count("{") == text.count("}")


def test_html_shows_names_and_runs_none(table) -> None:
    names, tags = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

        def handle_data(self, data):
            names.append(data)

    Reader().feed(formats.as_html(table))
    assert NASTY in names
    assert "script" not in tags


def test_csv_and_json_hold_the_same_numbers(table) -> None:
    rows = list(csv.DictReader(io.StringIO(formats.as_csv(table))))
    plain = json.loads(formats.as_json(table))["rows"]
    assert len(rows) == len(plain) == 8
    for row, other in zip(rows, plain, strict=True):
        assert row["label"] == other["label"]
        assert float(row["value"]) == pytest.approx(other["value"], abs=1e-6)
        assert row["best"] == str(other["best"])
