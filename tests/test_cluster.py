"""Runs on a real scheduler with real workers, each a process of its own, on the loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from commands import interruptible

from sepbench import registry
from sepbench.cli.main import main
from sepbench.datasets import open_dataset
from sepbench.errors import SepbenchError
from sepbench.evaluation import run as runs
from sepbench.evaluation import scheduler as schedulers
from sepbench.evaluation.cluster import Cluster
from sepbench.evaluation.records import Record
from sepbench.evaluation.remote import Source, reason_against
from sepbench.evaluation.run import Done, RunConfig, run, run_on_cluster
from sepbench.evaluation.scheduler import connect
from sepbench.evaluation.shards import read_shard, shard
from sepbench.evaluation.store import Settings, Store
from sepbench.evaluation.workers import Cells

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # What Dask and its sockets warn of.
]

TESTS = Path(__file__).parent
OTHER_VERSION = "import sepbench\nsepbench.__version__ = '0.0.9'\n"
NO_DATA = "import os\nos.environ['SEPBENCH_DATA'] = '/nowhere'\n"


class Loopback:
    """A scheduler and its workers."""

    def __init__(self, data: Path, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self._folder = folder
        self._environment = {
            **os.environ,
            "SEPBENCH_DATA": str(data),
            "PYTHONPATH": str(TESTS),
            "OMP_NUM_THREADS": "1",
        }
        self.processes = [self._start("scheduler", "--host", "127.0.0.1", "--port", str(port))]

    def worker(self, preload: str = "", *, nanny: bool = False) -> subprocess.Popen[bytes]:
        options = ["--nthreads", "1", "--nanny" if nanny else "--no-nanny"]
        if preload:
            path = self._folder / f"preload{len(self.processes)}.py"
            path.write_text(preload)
            options += ["--preload", str(path)]
        self.processes.append(self._start("worker", self.address, *options))
        return self.processes[-1]

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        program = f"import distributed.cli.dask_{arguments[0]} as program; program.main()"
        words = [*arguments[1:], "--no-dashboard"]
        log = (self._folder / f"{arguments[0]}{time.monotonic()}.log").open("wb")
        return subprocess.Popen(
            [sys.executable, "-c", program, *words],
            cwd=self._folder,
            env=self._environment,
            stdout=log,
            stderr=log,
        )


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four songs of a second in a folder that SEPBENCH_DATA leads to."""
    generator = np.random.default_rng(0)
    for song in "abcd":
        folder = tmp_path / "data" / "folder" / song
        folder.mkdir(parents=True)
        for stem in ("vocals", "accompaniment"):
            noise = generator.uniform(-0.3, 0.3, (8000, 1))
            soundfile.write(folder / f"{stem}.wav", noise, 8000)
    monkeypatch.setenv("SEPBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def loopback(data: Path, tmp_path: Path) -> Iterator[Loopback]:
    network = Loopback(data, tmp_path)
    yield network
    network.stop()


def whole(folder: Path) -> tuple[list, list, Store, Source]:
    tracks = open_dataset("folder").tracks("all")
    methods = registry.resolve_all(["mixture", "oracle-irm"])
    store = Store.create(folder, Settings("folder", "all"))
    return tracks, methods, store, Source("folder", None, 0.0, None)


def scores(store: Store) -> dict:
    return {(r.label, r.track): (r.error, r.stems) for r in store.records()}


def test_a_run_outlives_a_killed_worker_and_takes_one_that_joins_late(
    loopback: Loopback, tmp_path: Path
) -> None:
    doomed = loopback.worker()
    loopback.worker(OTHER_VERSION)
    loopback.worker(NO_DATA)
    tracks, methods, store, source = whole(tmp_path / "run")
    said: list[str] = []
    done: list[Done] = []

    def on_done(one: Done) -> None:
        done.append(one)
        if len(done) == 2:
            doomed.kill()
            loopback.worker()

    plan = RunConfig(isolate=False, save_stems=True)
    source = replace(source, run=str(store.folder))
    cluster = Cluster(loopback.address, source, isolate=False, on_worker=said.append)
    run_on_cluster(cluster, tracks, methods, store, plan, on_done=on_done)
    assert len(done) == len(tracks) * len(methods) == 8
    text = "\n".join(said)
    assert "is not used: it has sepbench 0.0.9" in text
    assert "is not used: data set folder is not here; set SEPBENCH_DATA" in text
    assert "is gone; its cells go to the others" in text
    local = Store.create(tmp_path / "local", store.settings)
    run(tracks, methods, local, plan)
    assert scores(local) == scores(store)
    for stems in (local, store):
        kept = [path for path in stems.folder.rglob("*.wav") if path.stem == "vocals"]
        assert len(kept) == 8


def test_a_cell_that_takes_three_workers_along_is_a_row(loopback: Loopback, tmp_path: Path) -> None:
    loopback.worker(nanny=True)
    tracks, _, store, source = whole(tmp_path / "run")
    methods = [registry.variant(fakes.Crashing, {}), registry.variant(fakes.Calm, {})]
    cluster = Cluster(loopback.address, source, isolate=False)
    run_on_cluster(cluster, tracks[:1], methods, store, RunConfig(isolate=False))
    errors = {record.label: record.error for record in store.records()}
    assert errors["calm"] is None
    assert "3 workers died while running this cell" in errors["crashing"]


def test_a_command_that_is_stopped_or_killed_goes_on_where_it_was(
    loopback: Loopback, tmp_path: Path
) -> None:
    loopback.worker()
    out = tmp_path / "run"
    # Enough cells that the first signal does not come when all are done.
    further = ["repet-sim", *(f"mixture[gain=0.{tenths}]" for tenths in range(1, 9))]
    words = "evaluate -m mixture -m oracle-irm --dataset folder --subset all --no-isolate"
    command = interruptible(*words.split())
    command += [word for spec in further for word in ("-m", spec)]
    command += ["--scheduler", loopback.address, "--out", str(out)]

    def stopped(number: int, more_than: int) -> tuple[int, str]:
        """Run the command until there are more scores, and end it by a signal."""
        running = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=tmp_path)
        while len(list(out.glob("scores/*/*/*.json"))) <= more_than and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(number)
        _, said = running.communicate(timeout=60)
        return running.returncode, said.decode()

    code, said = stopped(signal.SIGINT, 0)
    assert code == 128 + signal.SIGINT, said
    assert "dashboard: http" in said
    with connect(loopback.address) as client:
        deadline = time.monotonic() + 30
        while any(client.processing().values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(client.processing().values())
    kept = len(list(out.glob("scores/*/*/*.json")))
    assert kept < 44
    stopped(signal.SIGKILL, kept)
    last = subprocess.run(command, stderr=subprocess.PIPE, cwd=tmp_path, check=True)
    assert "scores were already there" in last.stderr.decode()
    tracks, methods, _, _ = whole(tmp_path / "other")
    methods += registry.resolve_all(further)
    local = Store.create(tmp_path / "local", Settings.of("folder", None, "all"))
    run(tracks, methods, local, RunConfig(isolate=False))
    assert scores(local) == scores(Store.open(out))


def test_what_is_wrong_with_a_scheduler_is_one_line(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracks, methods, store, source = whole(tmp_path / "run")
    cluster = Cluster(loopback.address, source, patience=0.5)
    with pytest.raises(SepbenchError, match=r"no usable worker; start one with 'dask"):
        run_on_cluster(cluster, tracks, methods, store, RunConfig())
    monkeypatch.setattr(schedulers, "_CONNECT", 0.5)
    with pytest.raises(SepbenchError, match=r"scheduler tcp://127.0.0.1:9: does not answer"):
        connect("tcp://127.0.0.1:9")
    for wrong in ("nonsense://x", "tcp://127.0.0.1", "8786", ""):
        with pytest.raises(SepbenchError, match=f"scheduler {wrong}: does not answer"):
            connect(wrong)


def test_parts_make_up_the_whole(data: Path, tmp_path: Path) -> None:
    tracks, methods, store, _ = whole(tmp_path / "run")
    for count in (1, 2, 3, 4, 7, 8, 20):
        parts = [shard(tracks, methods, (i, count)) for i in range(1, count + 1)]
        cells = [(t.name, m.label) for part in parts for t, chosen in part for m in chosen]
        assert len(cells) == 8
        assert len(set(cells)) == 8
        if count <= len(tracks):
            assert all(len(chosen) == 2 for part in parts for _, chosen in part)
    run(tracks, methods, store, RunConfig(isolate=False, shard=(1, 2)))
    assert {record.track for record in store.records()} == {"a", "c"}
    run(tracks, methods, store, RunConfig(isolate=False, shard=(2, 2)))
    assert len(store.records()) == 8


def test_a_worker_without_the_run_s_folder_keeps_no_stems(data: Path, tmp_path: Path) -> None:
    tracks, _, store, source = whole(tmp_path / "run")
    track = tracks[0]
    where = (track.subset, track.name, track.digest())
    assert reason_against(replace(source, run=str(store.folder)), *where) is None
    elsewhere = replace(source, run=str(tmp_path / "elsewhere"))
    assert "elsewhere does not exist; --save-stems needs" in str(reason_against(elsewhere, *where))


def test_each_device_has_a_track_of_its_own(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracks, methods, store, _ = whole(tmp_path / "run")
    both_busy = threading.Barrier(2, timeout=30)
    on_device: dict[str, list[str]] = {}
    do_cells = runs.do_cells

    def watched(cells: Cells, **how: object) -> list[Record]:
        (device,) = {task.device for task in cells.tasks}
        on_device.setdefault(device, []).append(cells.tasks[0].track.name)
        both_busy.wait()
        return do_cells(cells, **how)

    monkeypatch.setattr(runs, "do_cells", watched)
    run(tracks, methods, store, RunConfig(isolate=False, devices=("cpu:0", "cpu:1")))
    assert set(on_device) == {"cpu:0", "cpu:1"}
    assert sorted(name for names in on_device.values() for name in names) == list("abcd")
    assert [record.error for record in store.records()] == [None] * 8
    assert {record.identity["device"] for record in store.records()} == {"cpu"}


@pytest.mark.parametrize("text", ["5/4", "0/4", "1", "a/b", "1/0", "-1/2"])
def test_wrong_parts_are_one_line(text: str, data: Path) -> None:
    with pytest.raises(SepbenchError, match="--shard"):
        read_shard(text)
    words = ["evaluate", "-m", "mixture", "--dataset", "folder", "--subset", "all"]
    result = CliRunner().invoke(main, [*words, "--shard", text])
    assert result.exit_code == 2
    assert result.output.count("\n") == 1


def test_a_part_without_cells_has_nothing_to_do_and_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", "-m", "mixture", "--duration", "1", "--shard", "3/3"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "part 3/3 has nothing to do" in result.output
    result = CliRunner().invoke(main, [*words, "--json", "--out", "run"])
    assert result.exit_code == 0
    nothing = {"run": "run", "files": [], "remarks": [], "summary": []}
    assert json.loads(result.stdout) == nothing
