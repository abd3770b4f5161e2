from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import PreparedDataset, prepare

RATE = 8000


def tone(frequency: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def noise(seconds: float, seed: int, rate: int = RATE) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))


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
            stereo = np.stack([noise(1.5, 10 * index + number), tone(440, 1.5)], axis=1)
            soundfile.write(clips / f"{song}_{number}.wav", stereo, RATE)
            rows.append({"clip": f"{song}_{number}", "song": song, "split": split})
    _write(clips / "split.csv", rows)
    songs = root / "songs"
    for index, song in enumerate(("First", "Second", "Third")):
        (songs / song).mkdir(parents=True)
        pitches = {"vocals": 500.0 + index, "drums": 90.0, "bass": 60.0 + index}
        for stem, frequency in pitches.items():
            soundfile.write(songs / song / f"{stem}.wav", tone(frequency, 3), RATE)
    _write(
        songs / "split.csv",
        [{"song": "Second", "split": "val"}, {"song": "Third", "split": "test"}],
    )
    for folder, seed in (("voices/soprano", 1), ("backgrounds/band", 2)):
        (root / folder).mkdir(parents=True)
        soundfile.write(root / folder / "one.wav", noise(3, seed), RATE)
    return root


@pytest.fixture(scope="session")
def cache(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    prepared, skipped = prepare(find_tracks(corpus), tmp_path_factory.mktemp("prepared"), rate=RATE)
    assert not skipped
    return prepared


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
