"""Small songs and runs to be broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from fakes import Calm, Raising

from sepbench.datasets.base import Track, TrackAudio, assemble
from sepbench.evaluation import run as evaluation
from sepbench.evaluation.run import RunConfig
from sepbench.evaluation.store import Settings, Store
from sepbench.registry import Method
from sepbench.report import tables
from sepbench.separator import NoOptions, Separator
from sepbench.training.data.prepared import open_prepared

RATE = 8000


class Noise(Track):
    rate = RATE

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        generator = np.random.default_rng(len(self.name))
        stems = {
            name: generator.uniform(-0.3, 0.3, (2, RATE)).astype(np.float32)
            for name in ("vocals", "accompaniment")
        }
        return assemble(self.name, None, stems, RATE)

    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        return self.name


def method(kind: type[Separator]) -> Method:
    return Method(kind.name, kind, NoOptions(), "tests 1")


TRACKS = [Noise(n, "test", "noise", ("vocals", "accompaniment"), ()) for n in ("a", "bb", "ccc")]
METHODS = [method(kind) for kind in (Calm, Raising)]


def evaluate(folder: Path) -> Store:
    store = Store.create(folder, Settings("noise", "test"))
    evaluation.run(TRACKS, METHODS, store, RunConfig(isolate=False))
    return store


def rows(store: Store) -> str:
    return tables.scores(store.records()).to_csv(index=False)


def songs(folder: Path) -> Path:
    for number in range(3):
        for index, stem in enumerate(("vocals", "drums")):
            path = folder / f"S{number}" / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng([number, index]).uniform(-0.4, 0.4, 2 * RATE)
            soundfile.write(path, noise, RATE)
    (folder / "split.csv").write_text("song,split\nS0,train\nS1,valid\nS2,test\n")
    return folder


def arrays(folder: Path) -> list[tuple[str, bytes]]:
    dataset = open_prepared(folder, verify=True)
    return [(track.name, track.file.read_bytes()) for track in dataset.tracks]
