from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sepbench._util import messages
from sepbench._util.process import Call, WorkerDied, WorkerProcess


def task(what: str) -> int:
    if what == "die":
        os.kill(os.getpid(), signal.SIGTERM)
    if what == "exit":
        os._exit(3)
    if what == "sleep":
        time.sleep(60)
    return os.getpid()


def doubled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return 2 * samples


@pytest.mark.slow
def test_one_process_does_all_tasks_and_it_is_another_one() -> None:
    worker = WorkerProcess(Call(task))
    try:
        first, second = worker.run("work"), worker.run("work")
    finally:
        worker.stop()
    assert first == second != os.getpid()


def test_a_death_is_reported_with_its_cause_and_a_new_process_takes_over() -> None:
    worker = WorkerProcess(Call(task), timeout=10)
    try:
        with pytest.raises(WorkerDied, match="signal SIGTERM"):
            worker.run("die")
        with pytest.raises(WorkerDied, match="exit status 3"):
            worker.run("exit")
        assert worker.run("work") != os.getpid()
    finally:
        worker.stop()


def test_a_limit_may_be_any_number() -> None:
    worker = WorkerProcess(Call(task), timeout=1e300)
    try:
        assert worker.run("work") != os.getpid()
    finally:
        worker.stop()


def test_a_task_that_takes_too_long_is_ended() -> None:
    worker = WorkerProcess(Call(task), timeout=0.3)
    try:
        with pytest.raises(WorkerDied, match=r"longer than --timeout 0\.3 seconds"):
            worker.run("sleep")
    finally:
        worker.stop()


def test_arrays_larger_than_what_a_connection_holds_go_both_ways() -> None:
    worker = WorkerProcess(Call(doubled))
    try:
        for shape in ((2, 1 << 20), (2, 3), (2, 0)):
            samples = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
            made = worker.run(samples)
            assert np.array_equal(made, 2 * samples)
            made += 1  # What was received can be written to.
    finally:
        worker.stop()


class DiesWithinAnAnswer:
    """Work that is killed when a part of its answer has been sent."""

    retire = False

    def __call__(self, task: object, inputs: object) -> Iterator[NDArray[np.float32]]:
        def send(connection: Connection, view: memoryview) -> None:
            os.write(connection.fileno(), view[: len(view) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

        messages._send = send
        yield np.zeros(100, np.float32)


@pytest.mark.skipif(os.name == "nt", reason="connections are not files")
def test_a_death_within_an_answer_is_a_death() -> None:
    worker = WorkerProcess(DiesWithinAnAnswer())
    try:
        with pytest.raises(WorkerDied, match="SIGKILL"):
            worker.run(None)
    finally:
        worker.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only there workers have sockets")
@pytest.mark.slow
def test_workers_start_where_the_name_of_the_temporary_folder_is_long(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    script = tmp_path / "script.py"
    script.write_text(
        "from sepbench._util.process import Call, WorkerProcess\n"
        "worker = WorkerProcess(Call(abs))\n"
        "print(worker.run(-3))\n"
        "worker.stop()\n"
    )
    made = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == "3\n"
    assert not list(folder.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="only there workers come from a server")
@pytest.mark.slow
def test_a_signal_to_all_processes_of_a_group_leaves_workers_to_their_parent(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, time\n"
        "from sepbench._util.process import Call, WorkerProcess\n"
        "worker = WorkerProcess(Call(abs))\n"
        "worker.run(-3)\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('told'))\n"
        "os.killpg(0, signal.SIGTERM)\n"
        "time.sleep(0.3)\n"
        "print(worker.is_running and worker._process.is_alive(), worker.run(-4))\n"
        "worker.stop()\n"
    )
    made = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert made.stdout == "told\nTrue 4\n"


@pytest.mark.slow
def test_workers_share_the_import_of_a_preloaded_module(tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text("import os\nIMPORTED_BY = os.getpid()\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from sepbench._util.process import Call, WorkerProcess\n"
        "from sepbench._util.starting import preload\n"
        "def importer(_):\n"
        "    import os, slow_module\n"
        "    return slow_module.IMPORTED_BY, os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    preload(['slow_module'])\n"
        "    workers = [WorkerProcess(Call(importer)) for _ in range(2)]\n"
        "    (first, one), (second, other) = [worker.run(None) for worker in workers]\n"
        "    for worker in workers:\n"
        "        worker.stop()\n"
        "    print(first == second, one != other, first in (one, other))\n"
    )
    environment = dict(os.environ, PYTHONPATH=str(tmp_path))
    made = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, env=environment
    )
    assert made.stdout == "True True False\n"


def test_to_import_the_preloaded_module_elsewhere_ignores_no_signal() -> None:
    before = signal.getsignal(signal.SIGTERM)
    importlib.reload(importlib.import_module("sepbench._util.preloaded"))
    assert signal.getsignal(signal.SIGTERM) == before
