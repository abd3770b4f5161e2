"""Search the backings of prepared songs for voices: seconds in which separators find one.

    python benchmarks/backing_voices.py PREPARED --source everythingisremixed -m spleeter -m unet

A method finds a voice where its vocals are less than 10 dB below the backing, in windows of 2 s
that are louder than -50 dB. Seconds of all methods together are of windows in which each finds one.
A method that was trained on a song may have learned that its backing has no voice.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from learned import loaded
from numpy.typing import NDArray

from sepbench.inference import runner
from sepbench.training.data.prepared import open_prepared
from sepbench.training.pools import backing_parts

WINDOW = 2.0
LOUD = 10 ** (-50 / 20)
NEAR = 10 ** (-10 / 20)


def main() -> None:
    """Print a line for each song."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--source", action="append", required=True)
    parser.add_argument("-m", "--method", action="append", required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    separators = loaded(given.method)
    dataset = open_prepared(given.prepared)
    size = int(WINDOW * dataset.rate)
    for track in dataset.tracks:
        parts = backing_parts(track)
        if track.source not in given.source or not parts:
            continue
        backing = np.sum([track.read(part, 0, track.samples) for part in parts], axis=0)[None]
        level = levels(backing, size)
        found = {}
        for label, separator in separators.items():
            made = runner.separate(
                separator, backing, rate=dataset.rate, device=torch.device("cpu")
            )
            found[label] = (level > LOUD) & (levels(made.stems["vocals"], size) > NEAR * level)
        found["all"] = np.logical_and.reduce([*found.values()])
        seconds = ", ".join(f"{label} {WINDOW * where.sum():.0f}" for label, where in found.items())
        name = f"{track.source}/{track.name}"
        print(f"{name:40} of {track.samples / dataset.rate:4.0f} s: {seconds}", flush=True)


def levels(samples: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return the root mean square of each window of the first channel."""
    whole = samples[0, : samples.shape[1] // size * size].reshape(-1, size)
    result: NDArray[np.float32] = np.sqrt((whole**2).mean(axis=1))
    return result


if __name__ == "__main__":
    main()
