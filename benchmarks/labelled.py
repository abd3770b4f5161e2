"""Score separators by SDR on songs that a teacher labelled, which no stems are known of.

    python benchmarks/labelled.py PREPARED -m unet -m spleeter --track 'unlabelled/*Code_Monkey'

PREPARED is a folder made by ``sepbench prepare --teacher`` or ``sepbench train``. The truth is the
teacher's vocals in the windows on which two separators agree, so the scores say how much a method
differs from these, not how good it is: a drop while a network is trained on says what it forgets.
"""

from __future__ import annotations

import argparse
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import torch
from learned import loaded, score

from sepbench.training.data.prepared import open_prepared


def main() -> None:
    """Score every method on every song."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("-m", "--method", action="append", required=True)
    parser.add_argument("--track", action="append", required=True, help="Pattern of SOURCE/NAME.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    separators = loaded(given.method)
    dataset = open_prepared(given.prepared)
    found: dict[str, list[float]] = {}
    for track in dataset.tracks:
        name = f"{track.source}/{track.name}"
        if any(fnmatch(name, pattern) for pattern in given.track):
            stems = {part: track.read(part, 0, track.samples)[None] for part in track.parts}
            for label, scores in score(stems, separators, dataset.rate).items():
                print(f"{name:50} {label:30} {scores['vocals']:6.2f} dB", flush=True)
                found.setdefault(label, []).append(scores["vocals"])
    for label, values in found.items():
        print(f"mean of {len(values)} songs {label:30} {np.mean(values):6.2f} dB")


if __name__ == "__main__":
    main()
