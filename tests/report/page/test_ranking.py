"""What is best on the page: by the direction of each metric, of methods that can be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import make_run

from sepbench.report import tables
from sepbench.report.build import Report
from sepbench.report.page.facts import facts
from sepbench.report.page.make import make_page

from .chromium import MARKS, choose, column, see

SONGS = 8
SCORES = {"good": (60.0, 1.0, 0.5), "poor": (20.0, 3.0, 6.0), "lucky": (1.0, 9.0, 9.0)}
"""For each method the score of the 2f-model, the higher the better, its ADB, the lower the better,
and a difference of loudness that is positive on every other song."""


def made(folder: Path):
    """Return a run with these scores, and those of a lucky method on two songs alone."""
    levels = {"good": 6.0, "poor": 2.0, "lucky": 20.0}
    failed = [("lucky", f"song {n:02}") for n in range(2, SONGS)]
    store = make_run(folder, levels, SONGS, failed=failed)
    for record in store.records():
        quality, blocks, louder = SCORES[record.label]
        n = int(record.track.split()[1])
        totals = {
            "2f-model": quality + n / 9,
            "2f-model ADB": blocks + n / 99,
            "loudness difference": (-1) ** n * (louder + n / 99),
        }
        stems = {
            name: replace(result, totals=result.totals | totals)
            for name, result in record.stems.items()
        }
        store.save(replace(record, stems=stems))
    return store


@pytest.fixture(scope="module")
def ranked(browser, tmp_path_factory):
    """The browser with the page of that run."""
    store = made(tmp_path_factory.mktemp("ranked") / "run")
    records = store.records()
    report = Report(tables.scores(records), tables.summary(records), [], [])
    browser.get_log("browser")
    browser.get(make_page(store, report, protocol="mdx", tracks=()).path.as_uri())
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def best(browser) -> set[str]:
    """Return the methods with a bold score."""
    return set(
        browser.execute_script(
            "return [...document.querySelectorAll('#table .best')]"
            ".map((cell) => cell.parentElement.cells[0].firstChild.textContent)"
        )
    )


def sort_by(browser, stem: str) -> None:
    browser.execute_script(
        "document.querySelector(`#table [data-column=${arguments[0]}]`).click()", stem
    )


def test_each_metric_has_its_own_direction(tmp_path) -> None:
    store = made(tmp_path)
    records = store.records()
    found = facts(records, store.settings, tables.scores(records), tables.summary(records))
    metrics = found["protocols"]["2f-model"]["metrics"]
    assert {name: one["higher_is_better"] for name, one in metrics.items()} == {
        "2f-model": True,
        "ADB": False,
    }


def test_methods_of_fewer_songs_are_told_to_the_page(tmp_path) -> None:
    store = made(tmp_path)
    records = store.records()
    found = facts(records, store.settings, tables.scores(records), tables.summary(records))
    assert found["incomplete"]["mdx"]["uSDR"]["vocals"] == ["lucky"]
    assert found["incomplete"]["pooled"]["SDR"]["vocals"] == ["lucky"]


class TestPage:
    pytestmark = MARKS

    def test_the_lowest_score_is_the_best_where_lower_is_better(self, ranked) -> None:
        choose(ranked, "protocol", "2f-model")
        assert column(ranked, 0) == ["good", "poor", "lucky"]
        choose(ranked, "metric", "ADB")
        assert column(ranked, 0) == ["good", "poor", "lucky"]
        assert best(ranked) == {"good"}
        assert "lower is better" in ranked.find_element("id", "caption").text

    def test_of_scores_whose_best_is_0_sizes_are_sorted_and_drawn(self, ranked) -> None:
        choose(ranked, "protocol", "loudness")
        assert column(ranked, 0) == ["good", "poor", "lucky"]
        sort_by(ranked, "accompaniment")
        assert column(ranked, 0) == ["good", "poor", "lucky"]
        see(ranked, "boxplot", "heatmap")
        drawn = """
            const [, poor, good] = document.getElementById("boxplot").data;
            const [map] = document.getElementById("heatmap").data;
            return [Math.min(...poor.x), Math.min(...good.x), map.z[1], map.text[1][0]];
            """
        lowest_of_poor, lowest_of_good, cells, first = ranked.execute_script(drawn)
        assert (lowest_of_poor, lowest_of_good) == (6.0, 0.5)
        assert min(cells) == 6.0
        assert "song 02" in first  # Of those on which the methods are nearest to 0.

    def test_a_method_of_fewer_songs_is_the_last_and_is_marked(self, ranked) -> None:
        choose(ranked, "protocol", "mdx")
        assert column(ranked, 0) == ["good", "poor", "lucky"]
        assert best(ranked) == {"good"}
        assert [cell.endswith("‡") for cell in column(ranked, 1)] == [False, False, True]
        assert "‡ not all tracks" in ranked.find_element("id", "marks").text
        sort_by(ranked, "vocals")
        assert column(ranked, 0) == ["poor", "good", "lucky"]
        assert ranked.execute_script("return ranked()") == ["lucky", "poor", "good"]

    def test_only_where_ties_can_be_told_it_says_how_they_look(self, ranked) -> None:
        for protocol, can_tie in (("mdx", True), ("pooled", False)):
            choose(ranked, "protocol", protocol)
            words = ranked.find_element("id", "marks").text
            assert "Bold: best" in words
            assert ("italic" in words) == can_tie
