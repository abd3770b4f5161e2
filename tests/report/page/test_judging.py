"""Ratings on the page in Chromium: blind, and brought into the run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from made_runs import make_run

from sepbench.errors import SepbenchError
from sepbench.evaluation.records import of_sound
from sepbench.report import ratings, tables
from sepbench.report.build import Report
from sepbench.report.page.make import make_page

from .chromium import MARKS
from .conftest import LEVELS, NAMES, keep_stems, made_tracks

pytestmark = MARKS


def test_blind_ratings_hide_names_and_come_back_as_json(listening, made_run, tmp_path) -> None:
    orders = [
        listening.execute_script(
            "beginBlind(); const keys = Object.keys(disguise); endBlind(); return keys"
        )
        for _ in range(8)
    ]
    assert len({tuple(order) for order in orders}) > 1, "the order is the same each time"
    assert len(orders[0]) == 5, "three methods, the hidden reference and the anchor"
    listening.execute_script("document.getElementById('blind').click()")
    shown = listening.find_element("id", "listen").text
    assert not any(name in shown for name in ("good", "poor", "oracle"))
    listening.execute_script("document.querySelector('#ratings button[type=submit]').click()")
    assert "Not rated yet" in listening.find_element("id", "revealed").text
    wanted = {"reference": 100, "anchor": 5, "good": 80, "poor": 20, "<b onclick=bad()>[x=1]": 50}
    listening.execute_script(
        """
        for (const slider of document.querySelectorAll('#sliders input')) {
          const source = clip.sources.find((one) => slider.dataset.key === `${one.key}/hidden`);
          slider.value = arguments[0][source.name];
          slider.dispatchEvent(new Event('input'));
        }
        document.querySelector('#ratings button[type=submit]').click();
        """,
        wanted,
    )
    assert "was good: 80" in listening.find_element("id", "revealed").text
    browser_file = download(listening, "export", tmp_path)
    made = {(*one.song, one.label): of_sound(one.identity) for one in made_run.records()}
    other = dict.fromkeys(made, "by other weights")
    with pytest.raises(SepbenchError, match="as another run made it"):
        ratings.add([browser_file], tmp_path, made=other)
    ratings.add([browser_file], tmp_path, made=made)
    table = ratings.table(tmp_path)
    assert dict(zip(table["source"], table["rating"], strict=True)) == wanted
    assert set(table["track"]) == {NAMES[0]}
    # Another visit still knows them.
    listening.refresh()
    assert "excerpts rated: 1" in listening.find_element("id", "kept").text
    listening.execute_script(
        "window.confirm = () => true; document.getElementById('forget').click()"
    )
    assert listening.execute_script("return kept.ratings.length") == 0
    # Who rates next on this computer is another listener, also at a later visit.
    listening.refresh()
    listener = listening.execute_script("return JSON.parse(exported()).listener")
    assert listener not in {"", *table["listener"]}


def test_pages_of_two_runs_of_one_title_keep_their_ratings_apart(browser, tmp_path) -> None:
    pages = []
    for weights in "ab":
        store = make_run(tmp_path / weights, LEVELS, NAMES[:1], weights=weights)
        keep_stems(store, made_tracks()[:1])
        records = store.records()
        report = Report(tables.scores(records), tables.summary(records), [], [])
        made = make_page(store, report, protocol="mdx", tracks=made_tracks())
        pages.append(made.path.as_uri())
    counts = []
    for address in (*pages, pages[0]):
        browser.get(address)
        counts.append(browser.execute_script("return kept.ratings.length"))
        browser.execute_script("kept.ratings.push({ ratings: [] }); keep()")
    for address in pages:
        browser.get(address)
        browser.execute_script("localStorage.removeItem(STORE)")
    assert counts == [0, 0, 1]


def download(browser, button, folder: Path) -> Path:
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    browser.execute_script("document.getElementById(arguments[0]).click()", button)
    end = time.monotonic() + 10
    while not (files := list(folder.glob("*.json"))):
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.05)
    return files[0]


def test_judging_begins_with_an_excerpt(opened) -> None:
    shown = "return document.getElementById(arguments[0]).checkVisibility()"
    for name, is_shown in {"judge-first": True, "blind": False, "comparing": False}.items():
        assert opened.execute_script(shown, name) == is_shown


def test_abx_counts_right_answers_and_says_what_guessing_does(listening) -> None:
    assert listening.execute_script("return document.getElementById('judge-first').hidden")
    listening.execute_script("document.getElementById('abx-start').click()")
    for _ in range(5):
        listening.execute_script("answerAbx(abx.x)")
    assert (
        "5 of 5 right; guessing does as well in 3.1 %"
        in listening.find_element("id", "abx-result").text
    )
    assert listening.execute_script("return chance(9, 10)") == pytest.approx(11 / 1024)
    draws = listening.execute_script("return Array.from({length: 400}, () => randomBelow(3))")
    assert set(draws) == {0, 1, 2}
    listening.execute_script("kept.abx = []; keep()")


def test_abx_within_a_blind_rating_names_no_method_until_the_ratings_are_kept(listening) -> None:
    methods = ("good", "poor", "<b onclick=bad()>[x=1]", "oracle-irm")
    shown = (
        "return document.getElementById('listen').innerText"
        " + document.getElementById('judge').innerText"
        " + [...document.querySelectorAll('#judge option')].map((one) => one.text).join()"
    )
    assert "good" in listening.execute_script(shown)
    listening.execute_script("document.getElementById('blind').click()")
    pictured = (
        "return ['views', 'unseen'].map((id) => document.getElementById(id).checkVisibility())"
    )
    assert listening.execute_script(pictured) == [False, True]
    offered = "return [...document.querySelectorAll('#abx-a option')].map((one) => one.text)"
    assert listening.execute_script(offered) == ["reference", *"ABCDE"]
    pair = listening.execute_script(
        """
        const key = (name) => `${clip.sources.find((one) => one.name === name).key}/hidden`;
        document.getElementById('abx-a').value = key('good');
        document.getElementById('abx-b').value = key('reference');
        document.getElementById('abx-start').click();
        document.querySelector('[data-abx=x]').click();
        const heard = player.heard;
        player.stop();
        for (let trial = 0; trial < 3; trial += 1) answerAbx(abx.x);
        return [heard, soundOf(key('good')), soundOf(key('reference'))];
        """
    )
    assert pair[0] in pair[1:]
    seen = listening.execute_script(shown)
    assert "3 of 3 right" in seen
    assert not any(name in seen for name in methods)
    listening.execute_script(
        "for (const slider of document.querySelectorAll('#sliders input'))"
        " slider.dispatchEvent(new Event('input'));"
        "document.querySelector('#ratings button[type=submit]').click()"
    )
    revealed = listening.find_element("id", "revealed").text
    assert "ABX of good and reference: 3 of 3 right." in revealed
    trials = listening.execute_script("return JSON.parse(exported()).abx")
    assert [(one["a"], one["b"], one["right"]) for one in trials] == [
        ("good", "reference", True)
    ] * 3
    assert "good" in listening.execute_script(offered)
    listening.execute_script("Object.assign(kept, { ratings: [], abx: [] }); keep()")


def test_no_picture_of_x_is_drawn_while_it_is_heard(listening) -> None:
    drawn = """
        const [wave, image] = ["wave", "spectrogram"].map((id) => document.getElementById(id));
        const empty = document.createElement("canvas");
        [empty.width, empty.height] = [wave.width, wave.height];
        const blank = wave.toDataURL() === empty.toDataURL();
        return !blank || image.hasAttribute("src") || image.alt !== "";
        """
    assert listening.execute_script(drawn)
    listening.execute_script(
        """
        document.getElementById('abx-start').click();
        document.querySelector('[data-abx=x]').click();
        player.stop();
        for (const name of ['matched', 'view'])
          document.getElementById(name).dispatchEvent(new Event('change'));
        """
    )
    assert not listening.execute_script(drawn)
    listening.execute_script("document.querySelector('#sources input').click()")
    assert listening.execute_script(drawn)
