"""Measure the page of a large run: its size, its sounds, and how long it takes to open.

    python benchmarks/page.py FOLDER [--songs 50] [--methods 12] [--seconds 20] [--rate 8000]

Simulates songs, scores cheap estimates (pass bands of the mixture), and writes the page with the
sounds of every song and method. Prints the CPU time of scores and page, the sizes of the page and
of its sounds, and how long Chromium takes to open it from its file, and then to draw all pictures,
which a reader scrolls to: by the clock and in CPU time of all of its processes. Chromium has opened
an empty file before. The rate of the songs is low to save time: only CPU time and the size of the
sounds depend on it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
from scipy import signal

from sepbench.datasets import open_dataset
from sepbench.datasets.simulated import simulate
from sepbench.evaluation.estimate_files import find
from sepbench.evaluation.estimates import score
from sepbench.evaluation.store import Settings, Store
from sepbench.report.build import write
from sepbench.report.page.make import make_page

ODD_NAMES = {
    3: "<script>alert(1)<-script>",
    7: "שיר עברי",
    11: 'song 🎸 & "quotes"',
    19: "A rather long name of a song that goes on, feat. Someone (Remastered 2011 Version)",
}
SCROLL = "document.getElementById(arguments[0]).scrollIntoView()"
DRAWN = "return document.querySelector(`#${arguments[0]} .main-svg`) !== null"
SETTLING = 0.3
"""Seconds after loading in which the browser may go on by itself."""

ROWS = "return document.querySelectorAll('#table tbody tr').length"


def write_songs(folder: Path, count: int, seconds: float, rate: int) -> None:
    """Write simulated songs as 16-bit files, some with names that a page could stumble over."""
    for number in range(count):
        song = folder / "test" / ODD_NAMES.get(number, f"song {number:03d}")
        song.mkdir(parents=True, exist_ok=True)
        for stem, samples in simulate((5, number, 0), seconds, rate=rate).items():
            soundfile.write(song / f"{stem}.wav", samples.T, rate, "PCM_16")


def bands(count: int, rate: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield names and filters of methods; each passes four octaves of the mixture."""
    for number, low in enumerate(np.geomspace(40, 0.02 * rate, count)):
        high = min(16 * low, 0.45 * rate)
        yield (
            f"band {number + 1:02d}",
            signal.butter(2, (low, high), "bandpass", fs=rate, output="sos"),
        )


def scored(songs: Path, run: Path, methods: int, rate: int) -> Store:
    """Write the estimates of all methods where a run keeps stems, and score them."""
    tracks = open_dataset("folder", songs).tracks("test")
    store = Store.create(run, Settings.of("folder", songs, "test", 0.0, None))
    for name, band in bands(methods, rate):
        for track in tracks:
            mixture = track.load().mixture
            voice = signal.sosfilt(band, mixture, axis=1).astype(np.float32)
            folder = store.stems_folder(name, "test", track.name)
            folder.mkdir(parents=True, exist_ok=True)
            for stem, samples in {"vocals": voice, "accompaniment": mixture - voice}.items():
                soundfile.write(folder / f"{stem}.wav", samples.T, rate, "FLOAT")
        folder = run / "stems" / name
        score(find(folder, tracks), store, name=name, metrics=("sdr",), device="cpu", folder=folder)
    return store


def opened(page: Path, repeats: int) -> None:
    """Print how long Chromium takes to open the page."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.add_argument(f"--user-data-dir={profile}")
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            browser = psutil.Process(driver.service.process.pid)
            runs = [_opened_once(driver, browser, page) for _ in range(repeats)]
            print(f"opened {repeats} times, table of {driver.execute_script(ROWS)} rows")
        finally:
            driver.quit()
    names = ("opened", "opened, CPU time", "pictures drawn", "pictures drawn, CPU time")
    for what, seconds in zip(names, zip(*runs, strict=True), strict=True):
        print(
            f"{what}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        )


def _opened_once(driver: Any, browser: psutil.Process, page: Path) -> tuple[float, ...]:
    """Open the page and scroll to its pictures; return wall and CPU time of both."""
    empty = page.with_name("empty.html")
    empty.write_text("<!doctype html><title>empty</title>")
    driver.get(empty.resolve().as_uri())
    empty.unlink()
    time.sleep(SETTLING)
    start, begun = time.perf_counter(), _cpu_seconds(browser)
    driver.get(page.resolve().as_uri())
    loaded = time.perf_counter() - start
    time.sleep(SETTLING)
    middle, computed = time.perf_counter(), _cpu_seconds(browser)
    for name in ("boxplot", "heatmap"):  # Scored files have no speed.
        driver.execute_script(SCROLL, name)
        while not driver.execute_script(DRAWN, name):
            time.sleep(0.02)
    drawn = time.perf_counter() - middle
    return loaded, computed - begun, drawn, _cpu_seconds(browser) - computed


def _cpu_seconds(browser: psutil.Process) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in browser.children(recursive=True))


def main() -> None:
    """Make the run and the page, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=int, default=50)
    parser.add_argument("--methods", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    songs, run = chosen.folder / "songs", chosen.folder / "run"
    write_songs(songs, chosen.songs, chosen.seconds, chosen.rate)
    begun = time.process_time()
    store = scored(songs, run, chosen.methods, chosen.rate)
    report = write(store, protocol="sisec18")
    middle = time.process_time()
    print(f"scores: {middle - begun:.0f} s of CPU time", flush=True)
    tracks = open_dataset("folder", songs).tracks("test")
    make_page(store, report, protocol="sisec18", tracks=tracks, listen=chosen.songs)
    spent = time.process_time() - middle
    sounds = list((run / "page" / "audio").glob("*.js"))
    print(f"page with {len(sounds)} sounds: {spent:.0f} s of CPU time")
    page = run / "page" / "index.html"
    print(f"index.html: {page.stat().st_size / 1e6:.1f} MB")
    print(f"sounds: {sum(sound.stat().st_size for sound in sounds) / 1e6:.0f} MB")
    opened(page, chosen.repeats)


if __name__ == "__main__":
    main()
