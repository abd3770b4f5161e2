"""The page in a real browser: headless Chromium, opened from disk as by double click."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from made_runs import make_run

from sepbench.evaluation.store import Settings
from sepbench.report import tables
from sepbench.report.build import Report
from sepbench.report.page.make import make_page

from .chromium import AXE, MARKS, choose, column, count, run_async, see, wait_for
from .conftest import LEVELS, NAMES

pytestmark = MARKS


def test_the_table_is_sorted_filtered_and_shown_for_each_stem(opened) -> None:
    names = column(opened, 0)
    assert {name.rstrip(" *") for name in names} == set(LEVELS)
    vocals = [float(value) for value in column(opened, 1)]
    assert vocals == sorted(vocals, reverse=True)
    button = "document.querySelector('#table [data-column=\"vocals\"]')"
    opened.execute_script(f"{button}.click()")
    assert [float(value) for value in column(opened, 1)] == sorted(vocals)
    assert opened.execute_script(f"return {button}.closest('th').ariaSort") == "ascending"
    assert opened.execute_script(f"return document.activeElement === {button}")
    choose(opened, "filter", "GOO")
    assert column(opened, 0) == ["good"]
    choose(opened, "filter", "")
    opened.execute_script("document.getElementById('oracles').click()")
    assert "oracle-irm *" not in column(opened, 0)
    choose(opened, "protocol", "sisec18")
    assert "median over windows" in opened.find_element("id", "caption").text
    assert [float(value) for value in column(opened, 1)] == [1.0] * 3


def test_a_bold_score_is_the_best_and_every_score_has_its_interval(opened) -> None:
    marked = opened.execute_script(
        "return [...document.querySelectorAll('#table .best')].map((cell) => "
        "[cell.parentElement.cells[0].firstChild.textContent,"
        " cell.querySelector('.range').textContent])"
    )
    assert [name for name, _ in marked] == ["good", "good"]
    assert all(" to " in span for _, span in marked)


def test_details_say_where_a_score_comes_from(opened) -> None:
    opened.execute_script("document.querySelector('[aria-label=\"Details of good\"]').click()")
    assert opened.execute_script("return document.getElementById('details').open")
    text = opened.find_element("id", "details-body").text
    assert "a" * 64 in text
    assert "trained on" in text


def test_downloads_hold_the_numbers_and_no_formula(opened) -> None:
    rows = list(csv.DictReader(io.StringIO(opened.execute_script("return scoresCsv()"))))
    assert {row["track"] for row in rows} == set(NAMES)
    table = opened.execute_script("return tableCsv()").splitlines()
    assert table[0].startswith("method,vocals,vocals low,vocals high")
    assert opened.execute_script("return csv([['=1+1', -2, 'a,\"b']])") == '\'=1+1,-2,"a,""b"\n'


def test_an_excerpt_is_named_as_its_song_in_the_table(opened) -> None:
    name = """
        const one = { track: "Song", subset: "train", stem: "vocals", start: 3 };
        run.tracks.push(...arguments[0]);
        return clipName(one);
        """
    assert opened.execute_script(name, ["Song"]) == "Song: vocals, from 3 s"
    both = ["test/Song", "train/Song"]
    assert opened.execute_script(name, both) == "train/Song: vocals, from 3 s"


def test_positions_are_those_of_the_song_where_a_run_begins_later(opened) -> None:
    opened.execute_script("run.start = 30.5; openClip(0)")
    wait_for(opened, "return !document.getElementById('player').hidden")
    assert opened.execute_script("return clipName(run.listen[0])").endswith(", from 30.5 s")
    assert ", from 30.5 s: " in opened.find_element("id", "why").text


@pytest.mark.parametrize(
    ("start", "duration", "part"),
    [
        (0.0, None, "subset test."),
        (30.5, None, "subset test (each from 30.5 s on)."),
        (30.0, 20.0, "subset test (20 s of each, from 30 s)."),
    ],
)
def test_the_page_says_which_part_of_the_songs_was_scored(
    browser, tmp_path, start, duration, part
) -> None:
    store = make_run(tmp_path, {"good": 1.0}, 2, settings=Settings("some", "test", start, duration))
    records = store.records()
    report = Report(tables.scores(records), tables.summary(records), [], [])
    browser.get(make_page(store, report, protocol="mdx", tracks=()).path.as_uri())
    assert browser.find_element("id", "about").text.endswith(part)


def test_pictures_show_every_method_and_track_by_name(opened) -> None:
    see(opened, "boxplot", "heatmap", "cost")
    assert count(opened, "#boxplot .trace.boxes") == len(LEVELS)
    shown = opened.execute_script(
        "return [...document.querySelectorAll('#heatmap .xtick text')]"
        ".map((one) => one.textContent)"
    )
    for name in NAMES:
        assert any(text.rstrip("…") == name[: len(text.rstrip("…"))] for text in shown), name
    assert count(opened, "#pictures script, #pictures b") == 0
    assert count(opened, "#cost .point") == len(LEVELS)


def test_a_filter_that_no_method_passes_leaves_no_empty_picture(opened) -> None:
    see(opened, "boxplot", "heatmap", "cost")
    opened.find_element("id", "filter").send_keys("zzz")
    figures = opened.find_elements("css selector", "#pictures figure")
    assert [one.is_displayed() for one in figures] == [False] * 3
    assert opened.find_element("css selector", "#table tbody").text.startswith("No method")
    opened.execute_script("state.filter = ''; draw()")
    see(opened, "boxplot", "heatmap", "cost")
    assert [one.is_displayed() for one in figures] == [True] * 3


def test_variants_of_a_method_with_a_long_name_are_told_apart(opened) -> None:
    names = [f"ensemble[unet-stereo+unet-stereo[semitones={n}]+unet]" for n in (-0.5, 0.5)]
    one, other = opened.execute_script(
        "return arguments[0].map((name) => shortMethod(name))", names
    )
    assert one != other
    assert max(len(one), len(other)) <= 34
    assert opened.execute_script("return shortMethod('unet[wiener=0]')") == "unet[wiener=0]"


def test_a_caption_is_right_below_its_picture(opened) -> None:
    opened.execute_script("state.filter = 'good'; draw()")
    see(opened, "boxplot")
    gap = opened.execute_script(
        "return document.getElementById('boxplot-caption').getBoundingClientRect().top"
        " - document.querySelector('#boxplot .main-svg').getBoundingClientRect().bottom"
    )
    assert 0 <= gap < 20


def test_pictures_are_drawn_when_they_come_near_and_on_paper(opened) -> None:
    script = "return [typeof Plotly, document.querySelectorAll('.chart .main-svg').length]"
    opened.set_window_size(1280, 300)
    opened.refresh()
    time.sleep(0.3)
    before = opened.execute_script(script)
    heights = "return [...document.querySelectorAll('.chart')].map((node) => node.offsetHeight)"
    reserved = opened.execute_script(heights)
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    printed = opened.execute_script(script)
    opened.execute_script("dispatchEvent(new Event('afterprint'))")
    opened.set_window_size(1280, 1000)
    assert before == ["undefined", 0]
    assert printed[0] == "object"
    assert printed[1] >= 3
    assert opened.execute_script(heights) == reserved  # Nothing moves below a picture.


def test_on_paper_pictures_are_dark_on_light_and_fit_the_sheet(opened) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    see(opened, "boxplot", "heatmap", "cost")
    ink = "return getComputedStyle(document.querySelector('#boxplot .xtick text')).fill"
    width = "return document.querySelector('#heatmap .main-svg').width.baseVal.value"
    lit, wide = opened.execute_script(ink), opened.execute_script(width)
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert opened.execute_script(ink) == "rgb(0, 0, 0)"
    assert opened.execute_script(width) == 700
    tracks = "return document.querySelectorAll('#heatmap .xtick text').length"
    assert opened.execute_script(tracks) == len(NAMES)
    opened.execute_script("dispatchEvent(new Event('afterprint'))")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert lit != "rgb(0, 0, 0)"
    wait_for(opened, f"return Math.abs((() => {{ {width} }})() - {wide}) < 20")


def test_on_a_phone_nothing_covers_anything_and_scores_are_to_be_seen(opened) -> None:
    see(opened, "boxplot", "heatmap", "cost")
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    resized = "return document.querySelector('#cost .main-svg').width.baseVal.value < 390"
    wait_for(opened, resized)
    for name in ("boxplot", "heatmap", "cost"):
        picture, words = opened.execute_script(
            "const node = document.getElementById(arguments[0]);"
            "return [node.querySelector('.main-svg').getBoundingClientRect().bottom,"
            " node.parentElement.querySelector('figcaption').getBoundingClientRect().top]",
            name,
        )
        assert picture <= words + 1, f"{name} covers its caption"
    edge = "return document.querySelector('#table tbody td').getBoundingClientRect().right"
    assert opened.execute_script(edge) < 390
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_captions_name_only_what_is_to_be_seen(opened) -> None:
    """Four songs make no box, and no method has heard them in training."""
    see(opened, "boxplot", "cost")
    caption = opened.find_element("id", "boxplot-caption").text
    assert caption.startswith("Each point is a track; below, the ")
    assert "Hollow" not in opened.find_element("id", "cost-caption").text
    opened.execute_script("run.methods.good.trained_on_this = true; draw()")
    assert "Hollow" in opened.find_element("id", "cost-caption").text


def test_the_page_asks_for_nothing_and_would_not_get_it(opened) -> None:
    said = run_async(
        opened,
        "return fetch('https://example.org/').then(() => 'fetched', () => 'refused')",
    )
    assert said == "refused"
    ran = opened.execute_script(
        "const script = document.createElement('script');"
        "script.textContent = 'window.injected = 1';"
        "document.body.append(script); return window.injected ?? 'refused'"
    )
    assert ran == "refused"
    # Both refusals are written to the console; that is what was to be seen.
    assert len(opened.get_log("browser")) >= 2
    opened.get_log("performance")
    opened.refresh()


@pytest.mark.skipif(
    not AXE, reason="no axe-core: npm install axe-core, SEPBENCH_AXE=.../axe.min.js"
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_accessibility_fault_above_a_minor_one(listening, scheme) -> None:
    listening.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    listening.execute_script("beginBlind(); document.getElementById('abx').hidden = false")
    listening.execute_script(Path(AXE).read_text(encoding="utf-8"))
    found = run_async(listening, "return (await axe.run(document)).violations")
    faults = [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] != "minor"
    ]
    listening.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert faults == []
