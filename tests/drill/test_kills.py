"""Runs that are killed, that meet another, or that run out of disk or memory."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from PIL import Image
from serving import serving
from torch import nn

from sepbench._util.download import fetch
from sepbench.dsp.stft import Stft
from sepbench.evaluation.store import Store
from sepbench.training import checkpoint
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import prepare
from sepbench.training.examples import Examples
from sepbench.training.loop import Run
from sepbench.training.masking import MaskTrainable
from sepbench.training.mix_config import MixConfig
from sepbench.training.passages import passages
from sepbench.training.training_config import TrainingConfig
from sepbench.training.validate import Songs

from .small import RATE, arrays, evaluate, rows, songs
from .trying import (
    HANG,
    REFUSED,
    TRACEBACK,
    Tally,
    in_child,
    killed,
    times,
    together,
    verb,
    workers_left,
)

pytestmark = pytest.mark.drill

COSTS = ["seconds_per_second", "peak_memory_mb"]


def test_kills_of_evaluate(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    whole = rows(evaluate(tmp_path / "right"))

    def fault(folder: Path) -> str | None:
        parts = [path for path in folder.rglob("*.part") if time.time() - path.stat().st_mtime > 60]
        return None if rows(Store(folder)) == whole and not parts else "other rows"

    killed(tally, draw, evaluate, fault, tmp_path, 350)


def test_kills_of_evaluate_with_workers(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    """Kill the command itself, to its pictures; its worker processes end with it."""
    data = songs(tmp_path / "songs")
    words = ("evaluate", "--dataset", "folder", "--root", data, "-m", "mixture", "-m", "hpss")

    def work(folder: Path) -> None:
        verb(*words, "-o", folder)

    def kept(folder: Path) -> list[str]:
        assert (folder / "boxplot.svg").read_text().rstrip().endswith("</svg>")
        Image.open(folder / "boxplot.png").load()
        tables = [folder / "scores.csv", folder / "summary.csv", StringIO(rows(Store(folder)))]
        return [
            pd.read_csv(table).drop(columns=COSTS, errors="ignore").to_csv() for table in tables
        ]

    work(tmp_path / "right")
    right = kept(tmp_path / "right")

    def fault(folder: Path) -> str | None:
        orphans = workers_left()
        if orphans:
            return f"worker processes left: {orphans}"
        return None if kept(folder) == right else "other rows"

    killed(tally, draw, work, fault, tmp_path, 60)


def preparing(
    tmp_path: Path,
) -> tuple[Callable[[Path], object], Callable[[Path], str | None]]:
    """Return the preparation of songs into a folder, and what finds a fault in what it left."""
    data = songs(tmp_path / "songs")

    def work(folder: Path) -> None:
        verb("prepare", data, "-o", folder, "--rate", str(RATE))

    work(tmp_path / "right")
    right = arrays(tmp_path / "right")
    return work, lambda folder: None if arrays(folder) == right else "other arrays"


def test_kills_of_prepare(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    work, fault = preparing(tmp_path)
    killed(tally, draw, work, fault, tmp_path, 200)


def separating(
    tmp_path: Path,
) -> tuple[Callable[[Path], object], Callable[[Path], str | None]]:
    """Return the separation of a song into a folder, and what finds a fault in what it left."""
    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.5, 0.5, (2 * RATE, 2)), RATE)

    def work(folder: Path) -> None:
        how = random.choice([["--no-isolate"], []])  # noqa: S311
        verb("separate", song, "-m", "hpss", *how, "-o", folder)

    def stems(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.rglob("*.wav")}

    work(tmp_path / "right")
    right = stems(tmp_path / "right")
    return work, lambda folder: None if stems(folder) == right else "other stems"


def test_kills_of_separate(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    work, fault = separating(tmp_path)
    killed(tally, draw, work, fault, tmp_path, 200)


@contextmanager
def fetching(
    draw: random.Random,
) -> Iterator[tuple[Callable[[Path], object], Callable[[Path], str | None]]]:
    """Yield the download of a file into a folder, and what finds a fault in what it left."""
    content = draw.randbytes(4 << 20)
    digest = hashlib.sha256(content).hexdigest()
    with serving() as server:
        server.files["file"] = content

        def work(folder: Path) -> None:
            fetch(f"{server.address}/file", folder / "file", sha256=digest)

        def fault(folder: Path) -> str | None:
            there = [path.name for path in folder.iterdir()]
            right = there == ["file"] and (folder / "file").read_bytes() == content
            return None if right else f"other files: {there}"

        yield work, fault


def test_kills_of_fetch(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    with fetching(draw) as (work, fault):
        killed(tally, draw, work, fault, tmp_path, 200)


def test_a_full_disk(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    data = songs(tmp_path / "songs")
    whole = rows(evaluate(tmp_path / "right"))
    for number in times(60):
        folder, log = tmp_path / str(number), tmp_path / "log"
        if number % 2:
            work: Callable[[], object] = lambda f=folder: evaluate(f)  # noqa: E731
        else:
            work = lambda f=folder: prepare(find_tracks(data), f, rate=RATE)  # noqa: E731
        ended = in_child(work, file_size=draw.randrange(0, 20_000), log=log)
        if ended not in (0, REFUSED):
            tally.note(f"ended with {ended}: {log.read_text()[-300:] if log.exists() else ''}")
            continue
        again = in_child(work, log=log)
        good = again == 0 and (number % 2 == 0 or rows(Store(folder)) == whole)
        tally.note(None if good else f"again: {again}")


def test_little_memory(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    whole = rows(evaluate(tmp_path / "right"))
    for number in times(40):
        folder, log = tmp_path / str(number), tmp_path / "log"
        ended = in_child(
            lambda f=folder: evaluate(f), memory=draw.randrange(1 << 16, 1 << 24), log=log
        )
        if ended == HANG:
            tally.note("hang")
            continue
        again = in_child(lambda f=folder: evaluate(f), log=log)
        tally.note(None if again == 0 and rows(Store(folder)) == whole else f"again: {again}")


class PerBin(nn.Module):
    """One number for each bin."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(65, 1))

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.level + torch.zeros_like(magnitudes))


class Tiny(MaskTrainable):
    method = "tiny"
    rate = RATE
    stft = Stft(n_fft=128, hop=64)
    bins = 65
    objective = "energy"

    def __init__(self) -> None:
        super().__init__({})

    def network(self) -> nn.Module:
        return PerBin()


def test_kills_of_train(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    prepared, _ = prepare(find_tracks(songs(tmp_path / "songs")), tmp_path / "data", rate=RATE)
    plan = TrainingConfig(epochs=3, examples=8, batch_size=4, learning_rate=0.01, workers=0)

    def work(folder: Path) -> None:
        torch.set_num_threads(1)
        run = Run(Tiny(), plan, folder, torch.device("cpu"))
        if (folder / "last.pt").exists():
            run.resume()
        examples = Examples(prepared.split("train"), MixConfig(seconds=0.5), seed=0, count=1000)
        run.train(examples, Songs(passages(prepared, seconds=1.0, each=1)))

    def state(folder: Path) -> tuple[list[list[float]], list[float]]:
        last = checkpoint.load(folder / "last.pt", torch.device("cpu"))
        weights = [tensor.flatten().tolist() for tensor in last["weights"].values()]
        return weights, [epoch["loss"] for epoch in last["history"]]

    work(tmp_path / "right")  # Here, so that the forks need not import what trains.
    right = state(tmp_path / "right")
    killed(
        tally,
        draw,
        work,
        lambda folder: None if state(folder) == right else "other weights",
        tmp_path,
        200,
    )


def kept_alike(folder: Path, *, right: str) -> str | None:
    return None if rows(Store(folder)) == right else "other rows"


def test_two_runs_of_evaluate_at_once(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    right = rows(evaluate(tmp_path / "right"))
    at_once(tally, draw, evaluate, partial(kept_alike, right=right), tmp_path, 60)


def test_two_runs_of_prepare_at_once(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    work, fault = preparing(tmp_path)
    at_once(tally, draw, work, fault, tmp_path, 60)


def test_two_runs_of_separate_at_once(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    work, fault = separating(tmp_path)
    at_once(tally, draw, work, fault, tmp_path, 60)


def test_two_fetch_one_file_at_once(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    with fetching(draw) as (work, fault):
        at_once(tally, draw, work, fault, tmp_path, 60)


def at_once(
    tally: Tally,
    draw: random.Random,
    work: Callable[[Path], object],
    fault: Callable[[Path], str | None],
    tmp_path: Path,
    count: int,
) -> None:
    """Do the same work twice at the same time, the second a little later."""
    log = tmp_path / "log"
    for number in times(count):
        folder, wait = tmp_path / f"pair {number}", draw.choice([0, 0.02, 0.1])

        ended = together([partial(work, folder), partial(_later, wait, work, folder)], log=log)
        bad = TRACEBACK in ended or HANG in ended
        tally.note(f"{number}: {ended}: {log.read_text()[-300:]}" if bad else fault(folder))


def _later(wait: float, work: Callable[[Path], object], folder: Path) -> None:
    time.sleep(wait)
    work(folder)
