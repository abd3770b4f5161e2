"""Hostile files, tables and names: each is read, or refused in one line."""

from __future__ import annotations

import csv
import json
import pickle
import random
import shutil
import struct
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import torch

from sepbench import audio
from sepbench._util.text import composed, printable
from sepbench._util.yaml_file import read_yaml
from sepbench.datasets.download import fetch_zip
from sepbench.evaluation import run as evaluation
from sepbench.evaluation.museval_json import import_museval
from sepbench.evaluation.run import RunConfig
from sepbench.evaluation.store import Settings, Store
from sepbench.report import tables
from sepbench.training.data.discover import find_tracks
from sepbench.weights import container
from sepbench.weights.inspect import inspect

from .small import METHODS, RATE, Noise, evaluate, songs
from .trying import HANG, TRACEBACK, Tally, hostile, in_child, mutated, times

pytestmark = pytest.mark.drill


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
        hostile(tally, lambda: list(import_museval({"m": [file]}, store)), f"{number}")


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
            assert again.track == composed(name)  # However its letters were typed.
            tables.write_csv(tables.scores([record]), tmp_path / "scores.csv")
            with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
                cells = {row["track"].removeprefix("'") for row in csv.DictReader(file)}
            assert cells == {printable(composed(name)).removeprefix("'")}

        hostile(tally, keep, f"{number} {name!r}")


class Evil:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.mkdir, ("executed",)


def test_files_of_torch(
    tally: Tally, draw: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "w.pth"
    state = {"model": {"weight": torch.zeros(8, 4)}, "epoch": 3}
    contents = []
    for made in (state, {**state, "extra": Evil()}):
        torch.save(made, file)
        contents.append(file.read_bytes())
    torch.save(state, file, _use_new_zipfile_serialization=False)
    contents += [file.read_bytes(), pickle.dumps(Evil()), pickle.dumps({"a": [Evil()]})]
    for number in times(200):
        file.write_bytes(mutated(draw.choice(contents), draw) if number > 4 else contents[number])
        hostile(tally, lambda: inspect(file), f"{number}")
        assert not (tmp_path / "executed").exists()


def test_files_of_keras(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    file, log = tmp_path / "w.h5", tmp_path / "log"
    with h5py.File(file, "w") as made:
        made.attrs["backend"] = "tensorflow"
        for layer in ("conv1", "conv2"):
            made.create_group(layer).create_dataset("kernel", data=np.zeros((3, 3, 2)))
    whole = file.read_bytes()
    for number in times(150):
        file.write_bytes(mutated(whole, draw))
        ended = in_child(lambda: inspect(file), log=log, limit=20)
        tally.note(f"{number}: {ended}" if ended in (TRACEBACK, HANG) or ended < 0 else None)


def test_archives(tally: Tally, draw: random.Random, tmp_path: Path) -> None:
    """A zip file is unpacked into its folder, or refused; nothing is written anywhere else."""
    odd = ["a", "a/b", "../out", "/tmp/out", "..\\out", "C:/out", "", ".", "a/../../out", "n" * 300]  # noqa: S108
    file, box = tmp_path / "a.zip", tmp_path / "box"
    for number in times(300):
        with warnings.catch_warnings(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            warnings.simplefilter("ignore")  # Two members of one name.
            for _ in range(draw.randrange(4)):
                member = zipfile.ZipInfo(draw.choice(odd))
                member.external_attr = draw.choice([0, 0o120777 << 16, 0o040755 << 16, 2**32 - 1])
                made.writestr(member, draw.choice([b"x", bytes(1 << 20), draw.randbytes(999)]))
        if draw.random() < 0.5:
            file.write_bytes(mutated(file.read_bytes(), draw))
        place = box / str(number)
        hostile(tally, lambda place=place: fetch_zip(file.as_uri(), place), f"{number}")
        assert {path.name for path in tmp_path.iterdir()} <= {"a.zip", "box"}
        assert {path.name for path in box.iterdir()} <= {place.name}
        shutil.rmtree(place, ignore_errors=True)
    assert not Path("/tmp/out").exists()  # noqa: S108
