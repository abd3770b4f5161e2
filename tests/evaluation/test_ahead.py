"""Programs that are given all tracks at once."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from sepbench import registry
from sepbench._util.partial import own_folder
from sepbench.datasets.base import Track, TrackAudio, assemble
from sepbench.errors import SepbenchError
from sepbench.evaluation import run as evaluation
from sepbench.evaluation.records import Record
from sepbench.evaluation.run import RunConfig
from sepbench.evaluation.store import Settings, Store
from sepbench.inference import batch
from sepbench.inference.jobs import SeparateOptions, plan
from sepbench.inference.separate import SeparationSession
from sepbench.registry import Method
from sepbench.separator import NoOptions, Separator

PROGRAM = """
    import sys, pathlib, soundfile
    out, *songs = map(pathlib.Path, sys.argv[1:])
    with open(pathlib.Path(__file__).with_name("calls"), "a") as calls:
        calls.write("x")
    for song in songs:
        samples, rate = soundfile.read(song, dtype="float32")
        if len(samples) == {bad}:
            samples = samples[1:]
        if len(samples) == {fatal}:
            sys.exit("no memory left")
        soundfile.write(out / (song.stem + ".wav"), samples * 0.25, rate, "FLOAT")
"""


class Quarter(Separator):
    """The same maths as the program."""

    name = "quarter"
    summary = "For tests."
    stems = ("vocals", "accompaniment")
    remainder = "accompaniment"
    sample_rate = 22_050
    channels = 1
    license = "MIT"
    citation = "none"

    def separate(self, mixture: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"vocals": mixture * 0.25}


class Noise(Track):
    """Noise for a voice and its accompaniment, some longer than others."""

    rate = 8_000

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        samples = 8_000 + 1_000 * int(self.name)
        generator = np.random.default_rng(int(self.name))
        stems = {
            name: generator.uniform(-0.3, 0.3, (2, samples)).astype(np.float32)
            for name in ("vocals", "accompaniment")
        }
        return assemble(self.name, None, stems, self.rate)

    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        return self.name


TRACKS = [
    Noise(str(i), "test", "noise", ("vocals", "accompaniment"), ("noise",)) for i in range(10)
]


def program(folder: Path, *, bad: int = 0, fatal: int = 0) -> Method:
    (folder / "program.py").write_text(textwrap.dedent(PROGRAM).format(bad=bad, fatal=fatal))
    card = {
        "run": [sys.executable, "program.py", "{out}", "{songs}"],
        "stems": {"vocals": "{track}.wav"},
        "remainder": "accompaniment",
        "rate": 22_050,
        "channels": 1,
        "batch": "folder",
    }
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    (method,) = registry.resolve(f"command[file={folder}/card.yaml]")
    return method


def evaluate(
    folder: Path, *methods: Method, isolate: bool = False, tracks: Sequence[Track] = TRACKS
) -> tuple[Store, list[Record]]:
    store = Store.create(folder / "run", Settings("noise", "test"))
    return store, evaluation.run(tracks, methods, store, RunConfig(isolate=isolate))


def calls(folder: Path) -> int:
    path = folder / "calls"
    return len(path.read_text()) if path.is_file() else 0


@pytest.mark.slow
@pytest.mark.parametrize("isolate", [False, True])
def test_ten_songs_start_a_program_once_and_score_as_the_same_maths(
    tmp_path: Path, isolate: bool
) -> None:
    plain = Method("quarter", Quarter, NoOptions(), "tests 1")
    store, records = evaluate(tmp_path, plain, program(tmp_path), isolate=isolate)
    assert not [record.error for record in records if record.error]
    assert calls(tmp_path) == 1
    by_label: dict[str, dict[str, Record]] = {}
    for record in records:
        by_label.setdefault(record.label, {})[record.track] = record
    ours, theirs = by_label.values()
    for track, record in ours.items():
        assert record.stems == theirs[track].stems
        assert theirs[track].seconds > 0
    assert not list(store.folder.glob(".batch-*"))
    evaluate(tmp_path, program(tmp_path))
    assert calls(tmp_path) == 1  # The scores are there.


def test_a_song_that_comes_out_wrong_costs_its_own_row(tmp_path: Path) -> None:
    # Track 3 has 11000 samples at 8000 Hz.
    _, records = evaluate(tmp_path, program(tmp_path, bad=round(11_000 * 22_050 / 8_000)))
    failed = {record.track: record.error for record in records if record.error}
    assert list(failed) == ["3"]
    assert "the song 30319; 'tolerance: 1'" in (failed["3"] or "")


@pytest.mark.slow
def test_a_song_on_which_the_program_fails_costs_its_own_row(tmp_path: Path) -> None:
    """It ends the joint run, after which each song is separated by itself."""
    failing = program(tmp_path, fatal=round(11_000 * 22_050 / 8_000))
    store, records = evaluate(tmp_path, failing, tracks=TRACKS[2:5])
    assert len(records) == 3
    failed = {record.track: record.error for record in records if record.error}
    assert list(failed) == ["3"]
    assert "failed (exit status 1): no memory left" in (failed["3"] or "")
    assert not list(store.folder.glob(".batch-*"))


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "run", Settings("noise", "test"))
    own = own_folder(store.folder, ".batch")
    prefix, machine, _, rest = own.name.split("-", 3)
    gone, elsewhere = f"{prefix}-{machine}-999999999-{rest}", f"{prefix}-00000000-999999999-{rest}"
    for name in (own.name, gone, elsewhere):
        (store.folder / name).mkdir()
    evaluate(tmp_path, Method("quarter", Quarter, NoOptions(), "tests 1"))
    left = {folder.name for folder in store.folder.glob(".batch-*")}
    assert left == {own.name, elsewhere}  # Of a run that goes on, and of another machine.


def test_songs_of_files_start_a_program_once_too(tmp_path: Path) -> None:
    songs = []
    for index in range(3):
        songs.append(tmp_path / f"song{index}.wav")
        samples = np.random.default_rng(index).uniform(-0.3, 0.3, 8_000 + index)
        soundfile.write(songs[-1], samples, 22_050, "FLOAT")
    songs.insert(1, tmp_path / "no-song.wav")
    songs[1].write_bytes(b"no song")
    options = SeparateOptions(tmp_path / "out", format="wav", bit_depth="32f", device="cpu")
    method = program(tmp_path)
    for _ in range(2):  # What is there is not made again.
        with SeparationSession(options) as session:
            jobs = plan(songs, [method], options)
            session.separate_ahead(jobs)
            for job in jobs:
                if job.song == songs[1]:
                    with pytest.raises(SepbenchError, match="no-song"):
                        session.separate(job)
                    continue
                session.separate(job)
                song, _ = soundfile.read(job.song, dtype="float32")
                vocals, _ = soundfile.read(job.files["vocals"], dtype="float32")
                rest, _ = soundfile.read(job.files["accompaniment"], dtype="float32")
                np.testing.assert_array_equal(vocals, song * np.float32(0.25))
                np.testing.assert_allclose(vocals + rest, song, atol=1e-7)
        assert calls(tmp_path) == 1
        assert not list((tmp_path / "out").glob(".batch-*"))


def test_any_separator_may_be_given_a_batch(tmp_path: Path) -> None:
    songs = [track.load() for track in TRACKS[:2]]
    pairs = iter([(song.mixture, song.rate) for song in songs])
    separator, device = Quarter(), torch.device("cpu")
    for song, made in zip(
        songs, batch.separate_all(separator, pairs, tmp_path, device), strict=True
    ):
        stems = made.load().stems
        np.testing.assert_allclose(sum(stems.values()), song.mixture, atol=1e-6)
        assert made.seconds > 0
