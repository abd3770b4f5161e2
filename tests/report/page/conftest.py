"""A run with sound: songs made by the test, estimates of three methods kept beside the scores."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_runs import make_run

from sepbench.datasets.base import Track, TrackAudio
from sepbench.evaluation.store import Store
from sepbench.report import tables
from sepbench.report.build import Report
from sepbench.report.page.make import make_page

from . import chromium

RATE = 22050
SECONDS = 5
NAMES = ["<script>window.bad=1</script>", "\"quotes\" & 'more'", "שיר עברי", "song 🎸"]
LEVELS = {"good": 8.0, "poor": 2.0, "<b onclick=bad()>[x=1]": 4.0, "oracle-irm": 12.0}


@dataclass(frozen=True)
class MadeTrack(Track):
    """A sweep for vocals, and low noise for the rest; another seed for each song."""

    @property
    def rate(self) -> int:
        return RATE

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        time = np.arange(SECONDS * RATE) / RATE
        random = np.random.default_rng(len(self.name))
        voice = 0.3 * np.sin(2 * np.pi * (300 + 20 * time) * time) * (1 + np.sin(5 * time)) / 2
        # Smooth, so that a step would stand out.
        smooth = np.hanning(64)
        rest = [np.convolve(one, smooth, mode="same") for one in random.normal(size=(2, len(time)))]
        rest = 0.1 * np.stack(rest) / np.std(rest)
        vocals = np.stack([voice, voice]).astype(np.float32)
        end = None if duration is None else round((start + duration) * RATE)
        part = (slice(None), slice(round(start * RATE), end))
        stems = {"vocals": vocals[part], "accompaniment": rest.astype(np.float32)[part]}
        return TrackAudio(stems["vocals"] + stems["accompaniment"], stems, RATE)

    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        return self.name


def made_tracks() -> list[MadeTrack]:
    return [MadeTrack(name, "test", "some", ("vocals", "accompaniment"), ()) for name in NAMES]


def keep_stems(store: Store, tracks: list[MadeTrack]) -> None:
    """Keep estimates: the vocals at another level, and the more noise the worse the method."""
    for track in tracks:
        song = track.load()
        for label, level in LEVELS.items():
            noise = 10 ** (-level / 20) * 0.2
            for stem in ("vocals", "accompaniment"):
                other = song.mixture - song.references[stem]
                folder = store.stems_folder(label, "test", track.name)
                folder.mkdir(parents=True, exist_ok=True)
                made = (0.5 if label == "poor" else 1.0) * (song.references[stem] + noise * other)
                soundfile.write(folder / f"{stem}.wav", made.T, RATE, subtype="FLOAT")


@pytest.fixture(scope="session")
def made_run(tmp_path_factory) -> Store:
    """A run of four songs with hostile names, with kept stems."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    store = make_run(folder, LEVELS, NAMES, weights="a" * 64)
    for record in store.records():
        # The methods differ most in the last of five windows, by more than in the first.
        stems = {
            name: replace(
                result,
                frames={"SDR": [1.0, 1.0, 1.0, 1.0, result.totals["uSDR"]]},
                mixture_frames={"SDR": [-6.0] * SECONDS},
            )
            for name, result in record.stems.items()
        }
        store.save(replace(record, stems=stems, audio_seconds=float(SECONDS)))
    keep_stems(store, made_tracks())
    return store


@pytest.fixture(scope="session")
def page(made_run) -> Path:
    """The page of that run, with sounds."""
    records = made_run.records()
    report = Report(tables.scores(records), tables.summary(records), [], [])
    return make_page(
        made_run, report, protocol="mdx", tracks=made_tracks(), command="sepbench report <run>"
    ).path


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    driver = chromium.start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def watched(browser, page):
    """The browser; at the end, the page has complained of nothing and asked for nothing."""
    browser.get_log("browser"), browser.get_log("performance")
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    assert not browser.execute_script("return window.bad")
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [
        entry["params"]["request"]["url"]
        for entry in asked
        if entry["method"] == "Network.requestWillBeSent"
    ]
    assert addresses, "the log of requests is empty"
    folder = page.parent.as_uri()
    assert [a for a in addresses if not a.startswith((folder, "data:", "blob:file"))] == []


@pytest.fixture
def opened(watched, page):
    """The page, opened anew."""
    watched.get(page.as_uri())
    return watched


@pytest.fixture
def listening(watched, page):
    """The page with the vocals of one song loaded, and nothing left of the test before."""
    if not watched.execute_script("return window.listened"):
        watched.get(page.as_uri())
        chromium.wait_for(watched, "return document.readyState === 'complete'")
    place = watched.execute_script(
        """
        window.listened = true;
        player?.stop();
        for (const name of ["matched", "looped"]) document.getElementById(name).checked = true;
        return run.listen.findIndex((one) => one.stem === "vocals" && one.track === arguments[0]);
        """,
        NAMES[0],
    )
    chromium.choose(watched, "clip", str(place))
    chromium.wait_for(watched, "return !document.getElementById('player').hidden")
    return watched
