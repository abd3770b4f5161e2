"""Compare the SDR of two separators and of their labels, by how much the two differ.

    python benchmarks/agreement.py CORPUS [--teacher spleeter] [--second unet] [--split valid]

Mixes the validation songs of CORPUS that have single instruments (for `medleydb`, raw tracks, with
the voice at -3 dB relative to the rest) and separates them with both, as `sepbench prepare
--teacher` does with songs without stems. Counts each window of three seconds with voice. A row has
the windows in a range of differences: the energy of the difference of the two estimates, in dB
relative to the energy of their mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from sepbench import registry
from sepbench.inference import runner
from sepbench.training.augment import active_rms
from sepbench.training.data.discover import find_tracks

RATE = 16_000
WINDOW = 3 * RATE
EDGES = (-99, -14, -10, -8, -6, -4, 0, 99)


def main() -> None:
    """Print the median SDR of both separators and of the label by their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--teacher", default="spleeter")
    parser.add_argument("--second", default="unet")
    parser.add_argument("--share", type=float, default=0.33)
    parser.add_argument("--split", default="valid", help="Songs of this split.")
    given = parser.parse_args()
    separators = [registry.resolve(spec)[0].create() for spec in (given.teacher, given.second)]
    for separator in separators:
        runner.load(separator, torch.device("cpu"))
    rows = []
    for voice, mixture in songs(given.corpus, given.split):
        first, second = (
            runner.separate(separator, mixture[None], rate=RATE, device=torch.device("cpu")).stems[
                "vocals"
            ][0]
            for separator in separators
        )
        rows += windows(voice, mixture, first, second, given.share)
    table = np.array(rows)
    print("difference dB   windows   teacher   second   label   (median SDR, dB)")
    for low, high in pairwise(EDGES):
        inside = table[(table[:, 0] >= low) & (table[:, 0] < high)]
        if len(inside):
            scores = "   ".join(f"{value:6.2f}" for value in np.median(inside[:, 1:], axis=0))
            print(f"{low:4d} to {high:3d}   {len(inside):7d}   {scores}")


def songs(corpus: Path, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield voice and mixture of each song with single instruments and voice."""
    for track in find_tracks(corpus):
        if track.split != split or "vocals" not in track.parts or len(track.parts) < 3:
            continue
        stems = {name: np.concatenate(clips) for name, clips in track.decode(RATE).items()}
        voice = stems.pop("vocals")
        rest = np.sum(list(stems.values()), axis=0)
        if track.source == "medleydb":
            voice = voice * np.float32(10 ** (-3 / 20) * active_rms(rest) / active_rms(voice))
        yield voice, voice + rest


def windows(
    voice: np.ndarray, mixture: np.ndarray, first: np.ndarray, second: np.ndarray, share: float
) -> Iterator[list[float]]:
    """Yield difference and SDR of both estimates and of the label for each window with voice."""
    label = (1 - share) * first + share * second
    for start in range(0, len(voice) - WINDOW + 1, WINDOW):
        cut = slice(start, start + WINDOW)
        if energy(voice[cut]) < 10 ** (-15 / 10) * energy(mixture[cut]) or not voice[cut].any():
            continue
        difference = energy(first[cut] - second[cut])
        mean = energy((first[cut] + second[cut]) / 2)
        yield [
            decibels(difference, mean),
            *(decibels(energy(voice[cut]), energy(voice[cut] - estimate[cut]))
              for estimate in (first, second, label)),
        ]  # fmt: skip


def energy(signal: np.ndarray) -> float:
    """Return the sum of squares."""
    return float(np.square(signal, dtype=np.float64).sum())


def decibels(part: float, whole: float) -> float:
    """Return a ratio of energies in dB."""
    return 10 * float(np.log10((part + 1e-7) / (whole + 1e-7)))


if __name__ == "__main__":
    main()
