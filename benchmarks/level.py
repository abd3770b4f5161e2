"""Measure the level that trained methods scale songs to: the median level of training mixtures.

python benchmarks/level.py prepared/               mixtures of training, as `unet` is trained
python benchmarks/level.py --songs released/       the first minute of released songs, for Spleeter
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from sepbench import audio, registry
from sepbench.inference.level import measure
from sepbench.training.config import read_config
from sepbench.training.data.prepared import open_prepared
from sepbench.training.stem_examples import examples_of


def of_mixtures(folder: Path, method: str, count: int) -> list[float]:
    """Return the levels of mixtures that the default config of a method makes."""
    separator: Any = registry.resolve(method)[0].separator
    config = read_config(method, "default", folder=getattr(separator, "folder", None))
    module, _, name = separator.trainable.partition(":")
    trainable = getattr(import_module(module), name)(config.model)
    tracks = open_prepared(folder).split("train")
    examples = examples_of(trainable.stems, tracks, config.examples, seed=1, count=count)
    levels = []
    for number in range(count):
        mixture = sum(part.numpy().mean(0, keepdims=True) if part.ndim > 1 else part.numpy()[None]
                      for part in examples[number].values())  # fmt: skip
        levels.append(measure([np.asarray(mixture, np.float32)], trainable.rate).decibels)
    return [level for level in levels if level is not None]


def of_songs(folder: Path) -> list[float]:
    """Return the level of the first minute of each song in a folder."""
    songs = [audio.read(song, duration=60) for song in audio.find_songs([folder]).songs]
    levels = [measure([song.samples], song.rate).decibels for song in songs]
    return [level for level in levels if level is not None]


def main() -> None:
    """Print the median and the quartiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prepared", type=Path, nargs="?", help="made by 'sepbench prepare'")
    parser.add_argument("--songs", type=Path)
    parser.add_argument("--method", default="unet")
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    if args.songs is not None:
        levels = of_songs(args.songs)
    elif args.prepared is not None:
        levels = of_mixtures(args.prepared, args.method, args.count)
    else:
        parser.error("give a prepared folder or --songs")
    low, middle, high = np.percentile(levels, [25, 50, 75])
    print(f"{len(levels)} levels: median {middle:.1f} dB, quartiles {low:.1f} and {high:.1f} dB")


if __name__ == "__main__":
    main()
