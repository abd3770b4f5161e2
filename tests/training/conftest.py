from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from songs import tone, white, write

from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import PreparedDataset

RATE = 8000

CONFIG = """
model: {architecture: compact, rate: 8000, n_fft: 128, hop: 64, widths: [2, 2], bottleneck: 4,
        dilations: [1]}
examples: {seconds: 0.512}
training: {epochs: 1, examples: 4, batch_size: 2, workers: 0}
license: CC0-1.0
"""
"""A small U-Net, trained for one epoch of two steps."""


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection with every layout: MIR-1K, songs, voices, backings."""
    root = tmp_path_factory.mktemp("corpus")
    clips = root / "mir1k"
    clips.mkdir()
    rows = []
    splits = (("Ani_1", "train"), ("Bea_2", "val"), ("Cid_3", "test"))
    for index, (song, split) in enumerate(splits):
        for number in (1, 2):  # Songs are known by their sound, so no two may be equal.
            played = white(1, 3 * RATE // 2, seed=10 * index + number, peak=0.2)
            write(
                clips / f"{song}_{number}.wav", np.concatenate([played, tone(440, 1.5, RATE)]), RATE
            )
            rows.append({"clip": f"{song}_{number}", "song": song, "split": split})
    _write(clips / "split.csv", rows)
    songs = root / "songs"
    for index, song in enumerate(("First", "Second", "Third")):
        pitches = {"vocals": 500.0 + index, "drums": 90.0, "bass": 60.0 + index}
        for stem, frequency in pitches.items():
            write(songs / song / f"{stem}.wav", tone(frequency, 3, RATE), RATE)
    _write(
        songs / "split.csv",
        [{"song": "Second", "split": "val"}, {"song": "Third", "split": "test"}],
    )
    for folder, seed in (("voices/soprano", 1), ("backgrounds/band", 2)):
        write(root / folder / "one.wav", white(1, 3 * RATE, seed=seed, peak=0.2), RATE)
    return root


@pytest.fixture(scope="session")
def dataset(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    prepared, skipped = prepare(find_tracks(corpus), tmp_path_factory.mktemp("prepared"), rate=RATE)
    assert not skipped
    return prepared


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
