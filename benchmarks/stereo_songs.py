"""Score methods on released stereo songs by the stems of a stronger method.

    python benchmarks/stereo_songs.py SONGS -m unet -m 'unet[stereo=left-right]'

SONGS is a folder of songs without stems, such as ``unlabelled`` of the corpus. The truth is the
voice that ``--label`` finds in the 20 s from 60 s on, by default the mean of ``spleeter`` and
``unet-stereo``. So the scores say how much a method differs from these, and not how good it is:
they are for variants of a method that is not one of them. Songs that are too short, have one
channel, two equal ones or almost no voice are left out. Each song gives a row: the level of its
side relative to its mid, and the SDR of each method.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from learned import loaded, sdr

from sepbench import audio
from sepbench.inference import runner
from sepbench.inference.overlap_add import Samples
from sepbench.separator import AnySeparator

START, SECONDS = 60.0, 20.0
QUIET = -17.0
"""dB relative to the song; passages with a quieter voice are left out."""


def main() -> None:
    """Score every method on every song."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", type=Path)
    parser.add_argument("-m", "--method", action="append", required=True)
    parser.add_argument("--label", default="ensemble[spleeter+unet-stereo]")
    given = parser.parse_args()
    torch.set_num_threads(1)
    (teacher,) = loaded([given.label]).values()
    separators = loaded(given.method)
    print(f"{'':40} {'side':>6} {' '.join(separators)}")
    rows = []
    for path in audio.find_songs([given.songs]).songs:
        song = passage(path)
        if song is None:
            continue
        truth = voice(teacher, song)
        if level(truth, song) < QUIET:
            continue
        side = level(song[0] - song[1], song[0] + song[1])
        rows.append([sdr(truth, voice(one, song)) for one in separators.values()])
        print(
            f"{path.stem[:40]:40} {side:6.1f} {cells(rows[-1])}",
            flush=True,
        )
    print(f"{f'mean of {len(rows)} songs':40} {'':6} {cells(np.mean(rows, axis=0))}")
    print(f"{'median':40} {'':6} {cells(np.median(rows, axis=0))}")


def passage(path: Path) -> Samples | None:
    """Return ``(2, samples)`` at 44.1 kHz, None for a song too short or not in stereo."""
    if audio.info(path).seconds < START + SECONDS:
        return None
    read = audio.read(path, start=START, duration=SECONDS)
    if len(read.samples) != 2 or np.array_equal(*read.samples):
        return None
    return audio.resample(read.samples, read.rate, 44_100)


def voice(separator: AnySeparator, song: Samples) -> Samples:
    """Return the voice that a method finds, ``(2, samples)``."""
    made = runner.separate(separator, song, rate=44_100, device=torch.device("cpu"))
    return made.stems["vocals"]


def level(part: Samples, whole: Samples) -> float:
    """Return the level of a signal relative to another in dB."""
    return 10 * math.log10(np.sum(np.square(part)) / np.sum(np.square(whole)))


def cells(values: list[float]) -> str:
    """Return the scores of a row."""
    return " ".join(f"{value:6.2f}" for value in values)


if __name__ == "__main__":
    main()
