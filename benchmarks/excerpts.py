"""Compare the cost of cutting excerpts from songs during training and of reading them from files.

    python benchmarks/excerpts.py PREPARED [--batch 128]

The published tool of ibm-cnn writes a file for each excerpt: the spectrogram and the mask of nine
columns. sepbench cuts an excerpt from the prepared songs when it is needed, and transforms it then.
Both are timed on one thread, beside a training step of CNN_separator with as many excerpts.
PREPARED is a folder of ``sepbench prepare --rate 22050``. Other rates work too: they only change
the length of an excerpt in seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import default_collate

from sepbench.training.build import trainable_of, trained_separator
from sepbench.training.config import read_config
from sepbench.training.data.prepared import open_prepared
from sepbench.training.loop import Run
from sepbench.training.song_examples import SongExamples

_SONGS = 87
"""Songs of the published data."""

_SETS = 550
"""Excerpts from each song."""


def main() -> None:
    """Print the time of a batch for each way, and the size of all excerpts on disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--batch", type=int, default=128)
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = read_config("ibm-cnn", "published-separator", {"batch_size": given.batch})
    trainable = trainable_of(trained_separator("ibm-cnn"), config.model, "published-separator")
    songs = open_prepared(given.prepared).split("train")
    examples = SongExamples(
        songs, config.examples, stems=trainable.stems, seed=0, count=20 * given.batch
    )
    examples.samples = 2205  # Nine columns at any rate.

    def cut(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        first = batch * given.batch
        stems = default_collate([examples[first + n] for n in range(given.batch)])
        features = trainable.features(trainable.mixture(stems))
        return features, trainable.targets(stems)["labels"]

    with tempfile.TemporaryDirectory() as folder:
        features, labels = (part.numpy() for part in cut(0))
        per_excerpt = (features.nbytes + labels.nbytes) / given.batch
        for number in range(_SONGS, 0, -1):  # One file for each excerpt of a batch.
            np.savez(Path(folder) / f"{number}.npz", x=features[:1], y=labels[:1])

        def read(batch: int) -> None:
            for number in range(given.batch):
                with np.load(Path(folder) / f"{number % _SONGS + 1}.npz") as excerpt:
                    _ = excerpt["x"], excerpt["y"]

        run = Run(trainable, config.training, Path(folder) / "run", torch.device("cpu"))
        few = default_collate([examples[n] for n in range(8)])
        times = {
            "cut from songs": seconds(cut),
            "read from files": seconds(read),
            "training step": seconds(lambda batch: run.step(few, 1e-3), 2) * given.batch / 8,
        }
    for name, value in times.items():
        print(f"{name:16} {value:7.3f} s of processor time for {given.batch} excerpts")
    print(f"all {_SONGS * _SETS} excerpts on disk: {per_excerpt * _SONGS * _SETS / 1e9:.1f} GB")


def seconds(work: Callable[[int], object], times: int = 5) -> float:
    """Return the lowest CPU time of several calls, without the first call."""
    work(0)
    took = []
    for number in range(1, times + 1):
        began = time.process_time()
        work(number)
        took.append(time.process_time() - began)
    return min(took)


if __name__ == "__main__":
    main()
