"""Measure the page of a large run: its size, its sounds, and how long it takes to open.

    python benchmarks/page.py FOLDER [--songs 50] [--methods 12] [--seconds 20] [--rate 8000]

Simulates songs, evaluates cheap methods on them (pass bands of the mixture), and writes the page
with the sounds of every song and method. Prints the CPU time of both steps, the sizes of the page
and of its sounds, and how long Chromium takes to open it from its file, until the table is there
and until all pictures are drawn. A run in FOLDER is resumed. The rate of the songs
is low to save time; of these figures only the size of the sounds depends on it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sepbench.datasets.simulated import simulate

BAND = """
import sys
from pathlib import Path
import numpy as np, scipy.signal, soundfile
low, high, songs, out = float(sys.argv[1]), float(sys.argv[2]), *map(Path, sys.argv[3:])
for song in songs.glob("*.wav"):
    samples, rate = soundfile.read(song, dtype="float32")
    band = scipy.signal.butter(2, (low, min(high, 0.45 * rate)), "bandpass", fs=rate, output="sos")
    voice = scipy.signal.sosfilt(band, samples, axis=0).astype(np.float32)
    (out / song.stem).mkdir(parents=True)
    soundfile.write(out / song.stem / "vocals.wav", voice, rate, "FLOAT")
"""
CARD = """
run: ["{{python}}", band.py, "{low}", "{high}", "{{in}}", "{{out}}"]
stems: {{vocals: "{{track}}/vocals.wav"}}
remainder: accompaniment
batch: folder
"""
ODD_NAMES = {
    3: "<script>alert(1)<-script>",
    7: "שיר עברי",
    11: 'song 🎸 & "quotes"',
    19: "A rather long name of a song that goes on, feat. Someone (Remastered 2011 Version)",
}
PICTURES = "return document.querySelectorAll('.js-plotly-plot .main-svg').length > 0"
ROWS = "return document.querySelectorAll('#table tbody tr').length"


def write_songs(folder: Path, count: int, seconds: float, rate: int) -> None:
    """Write simulated songs as 16-bit files, some with names that a page could stumble over."""
    for number in range(count):
        song = folder / "test" / ODD_NAMES.get(number, f"song {number:03d}")
        if song.is_dir():
            continue
        song.mkdir(parents=True)
        for stem, samples in simulate((5, number, 0), seconds, rate=rate).items():
            soundfile.write(song / f"{stem}.wav", samples.T, rate, "PCM_16")


def write_methods(folder: Path, count: int) -> list[str]:
    """Write a card for each method, and return how ``-m`` names them."""
    (folder / "band.py").write_text(BAND)
    names = []
    for number, low in enumerate(np.geomspace(60, 600, count)):
        card = folder / f"band{number + 1:02d}.yaml"
        card.write_text(CARD.format(low=round(low), high=round(low * 12)))
        names.append(f"command[file={card}]")
    return names


def sepbench(*arguments: str) -> float:
    """Run the command line and return its CPU seconds, those of its processes included."""
    begun = sum(os.times()[2:4])
    subprocess.run([sys.executable, "-m", "sepbench", *arguments], check=True)
    return sum(os.times()[2:4]) - begun


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
            loads, draws = zip(*[_opened_once(driver, page) for _ in range(repeats)], strict=True)
            print(f"opened {repeats} times, table of {driver.execute_script(ROWS)} rows")
        finally:
            driver.quit()
    for what, seconds in {"loaded": loads, "pictures drawn": draws}.items():
        print(
            f"{what}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
        )


def _opened_once(driver: Any, page: Path) -> tuple[float, float]:
    driver.get("about:blank")
    start = time.perf_counter()
    driver.get(page.resolve().as_uri())
    loaded = time.perf_counter() - start
    while not driver.execute_script(PICTURES):
        time.sleep(0.02)
    return loaded, time.perf_counter() - start


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
    methods = write_methods(chosen.folder, chosen.methods)
    names = [part for name in methods for part in ("-m", name)]
    known = ("--dataset", "folder", "--root", str(songs), *names, "-o", str(run), "--save-stems")
    print(f"evaluated: {sepbench('evaluate', *known, '-q'):.0f} s of CPU time")
    spent = sepbench("report", str(run), "--page", "--listen", str(chosen.songs))
    sounds = list((run / "page" / "audio").glob("*.js"))
    print(f"page with {len(sounds)} sounds: {spent:.0f} s of CPU time")
    page = run / "page" / "index.html"
    print(f"index.html: {page.stat().st_size / 1e6:.1f} MB")
    print(f"sounds: {sum(sound.stat().st_size for sound in sounds) / 1e6:.0f} MB")
    opened(page, chosen.repeats)


if __name__ == "__main__":
    main()
