"""The drill: at least 1000 kills and 1500 hostile inputs; prints tried, survived and faults."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from fakes import Calm, Raising
from serving import serving

from sepbench import audio, registry
from sepbench._util.download import fetch
from sepbench._util.text import printable
from sepbench._util.yaml_file import read_yaml
from sepbench.datasets.base import Track, TrackAudio, assemble
from sepbench.errors import SepbenchError
from sepbench.evaluation import run as evaluation
from sepbench.evaluation.museval_json import import_museval
from sepbench.evaluation.run import RunConfig
from sepbench.evaluation.store import Settings, Store
from sepbench.inference.jobs import SeparateOptions, plan
from sepbench.inference.separate import SeparationSession
from sepbench.registry import Method
from sepbench.report import tables
from sepbench.separator import NoOptions
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.prepare import open_prepared, prepare
from sepbench.weights import container

from .trying import HANG, HEADING, REFUSED, TRACEBACK, Tally, in_child

pytestmark = pytest.mark.drill

SCALE = float(os.environ.get("SEPBENCH_DRILL", "1"))
RATE = 8000
TALLIES: list[Tally] = []


def times(count: int) -> range:
    return range(max(1, round(count * SCALE)))


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    torch.set_num_threads(1)
    yield
    lines = [HEADING, *(tally.line() for tally in TALLIES)]
    print("\n" + "\n".join(lines), flush=True)  # noqa: T201 - the table is what it is run for


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.node.name)  # noqa: S311


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    made = Tally(request.node.name.removeprefix("test_"))
    TALLIES.append(made)
    yield made
    assert not made.faults, made.faults[:5]


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


TRACKS = [Noise(n, "test", "noise", ("vocals", "accompaniment"), ()) for n in ("a", "bb", "ccc")]
METHODS = [Method(kind.name, kind, NoOptions(), "tests 1") for kind in (Calm, Raising)]


def evaluate(folder: Path) -> Store:
    store = Store.create(folder, Settings("noise", "test"))
    evaluation.run(TRACKS, METHODS, store, RunConfig(isolate=False))
    return store


def rows(store: Store) -> str:
    return tables.scores(store.records()).to_csv(index=False)


def killed(
    tally: Tally,
    draw: random.Random,
    work: Callable[[Path], object],
    fault: Callable[[Path], str | None],
    tmp_path: Path,
    count: int,
) -> None:
    """Kill work at random moments; then let it end, and look for what is wrong."""
    began = time.monotonic()
    work(tmp_path / "whole")
    usual = time.monotonic() - began
    for number in times(count):
        folder = tmp_path / str(number)
        log = tmp_path / "log"
        ended = in_child(lambda f=folder: work(f), kill_after=draw.uniform(0, usual), log=log)
        if ended in (TRACEBACK, HANG):
            tally.note(
                f"killed {number}: {ended}: {log.read_text()[-300:] if log.exists() else ''}"
            )
            continue
        ended = in_child(lambda f=folder: work(f), log=log)
        tally.note(fault(folder) if ended == 0 else f"again {number}: ended with {ended}")


def test_kills_of_evaluate(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    whole = rows(evaluate(tmp_path / "right"))

    def fault(folder: Path) -> str | None:
        parts = [path for path in folder.rglob("*.part") if time.time() - path.stat().st_mtime > 60]
        return None if rows(Store(folder)) == whole and not parts else "other rows"

    killed(tally, draw, evaluate, fault, tmp_path, 400)


def songs(folder: Path) -> Path:
    for number in range(3):
        for index, stem in enumerate(("vocals", "drums")):
            path = folder / f"S{number}" / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng([number, index]).uniform(-0.4, 0.4, 2 * RATE)
            soundfile.write(path, noise, RATE)
    return folder


def arrays(folder: Path) -> list[tuple[str, bytes]]:
    dataset = open_prepared(folder, verify=True)
    return [(track.name, track.file.read_bytes()) for track in dataset.tracks]


def test_kills_of_prepare(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    data = songs(tmp_path / "songs")

    def work(folder: Path) -> None:
        prepare(find_tracks(data), folder, rate=RATE)

    work(tmp_path / "right")
    right = arrays(tmp_path / "right")
    killed(
        tally,
        draw,
        work,
        lambda folder: None if arrays(folder) == right else "other arrays",
        tmp_path,
        250,
    )


def test_kills_of_separate(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.5, 0.5, (2 * RATE, 2)), RATE)
    (method,) = registry.resolve("mixture")

    def work(folder: Path) -> None:
        job = SeparateOptions(folder, isolate=False, device="cpu")
        with SeparationSession(job) as session:
            for order in plan([song], [method], job):
                session.separate(order)

    def stems(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.rglob("*.wav")}

    work(tmp_path / "right")
    right = stems(tmp_path / "right")
    killed(
        tally,
        draw,
        work,
        lambda folder: None if stems(folder) == right else "other stems",
        tmp_path,
        200,
    )


def test_kills_of_fetch(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    content = draw.randbytes(8 << 20)
    digest = hashlib.sha256(content).hexdigest()
    with serving() as server:
        server.files["file"] = content

        def work(folder: Path) -> None:
            fetch(f"{server.address}/file", folder / "file", sha256=digest)

        def fault(folder: Path) -> str | None:
            there = [path.name for path in folder.iterdir()]
            right = there == ["file"] and (folder / "file").read_bytes() == content
            return None if right else f"other files: {there}"

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


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Return content with bits turned, pieces cut, doubled or put in."""
    made = bytearray(content)
    for _ in range(draw.randrange(1, 6)):
        place = draw.randrange(len(made) + 1)
        end = min(len(made), place + draw.randrange(1, 64))
        kind = draw.randrange(5)
        if kind == 0 and place < len(made):
            made[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del made[place:end]
        elif kind == 2:
            made[place:place] = draw.randbytes(draw.randrange(1, 64))
        elif kind == 3:
            made[place:place] = made[place:end]
        else:
            del made[place:]
    return bytes(made)


def hostile(tally: Tally, read: Callable[[], object], what: str) -> None:
    """Read something hostile: it may be refused in one line, and nothing else."""
    began = time.monotonic()
    try:
        read()
        fault = None
    except SepbenchError as error:
        fault = f"{what}: several lines" if "\n" in str(error).strip() else None
    except Exception as error:
        fault = f"{what}: {type(error).__name__}: {error}"
    if time.monotonic() - began > 20:
        fault = f"{what}: {time.monotonic() - began:.0f} s"
    tally.note(fault)


def test_files_of_weights(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    network = torch.nn.Linear(4, 2)
    header = {"method": "tiny", "model": {"rate": 8000, "n_fft": 512, "hop": 128}, "steps": 3}
    container.save(file, network.state_dict(), header)
    whole = file.read_bytes()
    for number in times(500):
        made = mutated(whole, draw)
        if number % 5 == 0:  # A header that parses, with values of other kinds.
            key = draw.choice(["rate", "n_fft", "hop", "hidden", "window"])
            odd = [2**70, -1, 0, 1.5, 1e308, "x", None, [], {}, True, 10**9]
            text = json.dumps({**header, "model": {**header["model"], key: draw.choice(odd)}})
            table = json.dumps({"__metadata__": {"sepbench": text}}).encode()
            made = struct.pack("<Q", len(table)) + table
        file.write_bytes(made)
        hostile(tally, lambda: container.load_into(torch.nn.Linear(4, 2), file), f"{number}")


def test_files_of_runs(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    store = evaluate(tmp_path / "run")
    files = sorted((tmp_path / "run").rglob("*.json"))
    contents = {file: file.read_bytes() for file in files}
    for number in times(300):
        file = draw.choice(files)
        file.write_bytes(mutated(contents[file], draw))

        def read() -> None:
            records, _ = store.contents()
            tables.summary(records)
            _ = store.settings

        hostile(tally, read, f"{number} {file.name}")
        file.write_bytes(contents[file])


def test_files_of_museval(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    store = Store.create(tmp_path / "run", Settings("musdb18", "test"))
    metrics = dict.fromkeys(("SDR", "SIR", "ISR", "SAR"), 4.0)
    frames = [{"time": 0.0, "duration": 1.0, "metrics": metrics}] * 3
    content = json.dumps({"targets": [{"name": "vocals", "frames": frames}]}).encode()
    file = tmp_path / "track.json"
    for number in times(250):
        file.write_bytes(mutated(content, draw))
        hostile(tally, lambda: import_museval({"m": [file]}, store), f"{number}")


def test_files_of_options(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    content = b"method: [mixture, 'hpss[margin=2]']\ndataset: simulated\nduration: 3\n"
    bombs = [b"a: &a [x]\nb: *a\n" * 50, b"a: " + b"[" * 5000, b"? " * 5000, b"!!python/object:os"]
    file = tmp_path / "run.yaml"
    for number in times(200):
        file.write_bytes(mutated(draw.choice([content, content, *bombs]), draw))
        hostile(tally, lambda: read_yaml(file, "run.yaml"), f"{number}")


def test_files_of_audio(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE // 4, 2))
    contents = {}
    for suffix in ("wav", "flac", "ogg", "aiff", "mp3"):
        soundfile.write(tmp_path / f"song.{suffix}", noise, RATE)
        contents[suffix] = (tmp_path / f"song.{suffix}").read_bytes()
    for number in times(400):
        suffix = draw.choice(sorted(contents))
        file = tmp_path / f"hostile.{suffix}"
        file.write_bytes(mutated(contents[suffix], draw))
        hostile(tally, lambda f=file: audio.read(f), f"{number} {suffix}")


def test_tables_of_splits(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    data = songs(tmp_path / "songs")
    content = b"song,split\nS0,train\nS1,valid\nS2,test\n"
    for number in times(150):
        (data / "split.csv").write_bytes(mutated(content, draw))
        hostile(tally, lambda: find_tracks(data), f"{number}")


def test_names(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    odd = "\x1b\udce9\u202e=+-@\r\n\t\"',;/\\ \u0301éß日🎵.[]*?{}%$"
    for number in times(150):
        name = "".join(draw.choices(odd + "abc", k=draw.randrange(1, 30)))

        def keep(name: str = name) -> None:
            store = Store.create(tmp_path / "run", Settings("noise", "test"))
            track = Noise(name, "test", "noise", ("vocals", "accompaniment"), ())
            (record,) = evaluation.run([track], METHODS[:1], store, RunConfig(isolate=False))
            again = store.load("calm", "test", name)
            assert again is not None
            assert again.track == name
            tables.write_csv(tables.scores([record]), tmp_path / "scores.csv")
            with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
                cells = {row["track"].removeprefix("'") for row in csv.DictReader(file)}
            assert cells == {printable(name).removeprefix("'")}

        hostile(tally, keep, f"{number} {name!r}")
