"""Measure the seconds per song that ``command`` adds to a program.

    python benchmarks/command.py

Prints three costs beyond the program's own: of the method alone, and of each further song of
``sepbench separate`` with the method in a process of its own (the default) and without. The last
two include the reading of the song, its digest, and the writing of both stems. The CPU time counts
all processes, also those that have left their parent (on Linux alone).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from measure import adopt_orphans, wait_for_children

from sepbench_plugins.command import Command

RATE = 44_100
PROGRAM = """
import sys, soundfile
samples, rate = soundfile.read(sys.argv[1], dtype="float32")
soundfile.write(sys.argv[2] + "/vocals.wav", samples * 0.5, rate, "FLOAT")
"""
CARD = """
run: ["{python}", program.py, "{in}", "{out}"]
stems: {vocals: vocals.wav}
remainder: accompaniment
"""


def write_program(folder: Path) -> None:
    """Write a program that halves a song, and its card."""
    (folder / "program.py").write_text(PROGRAM)
    (folder / "card.yaml").write_text(CARD)


def write_songs(folder: Path, *, seconds: float, songs: int) -> list[Path]:
    """Write quiet noise in stereo."""
    generator = np.random.default_rng(0)
    files = [folder / f"song{index}.wav" for index in range(songs)]
    for file in files:
        noise = 0.1 * generator.standard_normal((round(seconds * RATE), 2))
        soundfile.write(file, noise, RATE, "PCM_16")
    return files


def timed(work: Callable[[], object]) -> np.ndarray:
    """Return the wall time and the CPU time of some work and of the processes it started."""
    start, before = time.perf_counter(), sum(os.times()[:4])
    work()
    wall = time.perf_counter() - start
    wait_for_children()
    return np.array([wall, sum(os.times()[:4]) - before])


def alone(folder: Path, song: Path) -> Callable[[], object]:
    """Return the call of a loaded method on a song in memory."""
    separator = Command(Command.Options(file=str(folder / "card.yaml")))
    separator.load(torch.device("cpu"))
    samples = torch.from_numpy(soundfile.read(song, dtype="float32")[0].T.copy())
    return lambda: separator.separate(samples)


def separate(folder: Path, songs: Sequence[Path], *words: str) -> Callable[[], object]:
    """Return a call of the command line on songs."""
    out = folder / "separated"
    method = f"command[file={folder / 'card.yaml'}]"
    command = [sys.executable, "-m", "sepbench", "separate", "-q", "-m", method]

    def run() -> None:
        shutil.rmtree(out, ignore_errors=True)
        subprocess.run([*command, "-o", out, *words, *songs], check=True)

    return run


def report(name: str, costs: Sequence[np.ndarray]) -> None:
    """Print the median and the range of costs (wall and CPU time)."""
    wall, cpu = np.array(costs).T
    print(
        f"{name:<32}{np.median(wall):7.3f} s ({min(wall):.3f} to {max(wall):.3f}), "
        f"of CPU time {np.median(cpu):.3f} s ({min(cpu):.3f} to {max(cpu):.3f})",
        flush=True,
    )


def measure(folder: Path, *, seconds: float, songs: int, repeats: int) -> None:
    """Time a program called directly and in each of the other ways, in turns."""
    write_program(folder)
    files = write_songs(folder, seconds=seconds, songs=songs + 1)
    direct = [sys.executable, str(folder / "program.py"), str(files[0]), str(folder)]
    method = alone(folder, files[0])
    costs: dict[str, list[np.ndarray]] = {}
    for _ in range(repeats):
        program = timed(lambda: subprocess.run(direct, check=True))
        costs.setdefault("the program itself", []).append(program)
        costs.setdefault("the method alone", []).append(timed(method) - program)
        for name, words in (("separate", ()), ("separate --no-isolate", ("--no-isolate",))):
            one, all_songs = (timed(separate(folder, some, *words)) for some in (files[:1], files))
            further = (all_songs - one) / songs - program
            costs.setdefault(f"{name}, each further song", []).append(further)
    print(f"seconds per song of {seconds:g} s of stereo, median of {repeats}:")
    for name, spent in costs.items():
        report(name, spent)


def main() -> None:
    """Print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--songs", type=int, default=5, help="further songs of one call")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    if sys.platform == "linux":
        adopt_orphans()
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name), seconds=chosen.seconds, songs=chosen.songs, repeats=chosen.repeats)


if __name__ == "__main__":
    main()
