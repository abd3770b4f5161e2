from __future__ import annotations

import os
import signal
import time

import pytest

from sepbench._util.process import Call, WorkerDied, WorkerProcess


def task(what: str) -> int:
    if what == "die":
        os.kill(os.getpid(), signal.SIGTERM)
    if what == "exit":
        os._exit(3)
    if what == "sleep":
        time.sleep(60)
    return os.getpid()


def test_one_process_does_all_tasks_and_it_is_another_one() -> None:
    lane = WorkerProcess(Call(task))
    try:
        first, second = lane.run("work"), lane.run("work")
    finally:
        lane.stop()
    assert first == second != os.getpid()


def test_a_death_is_reported_with_its_cause_and_a_new_process_takes_over() -> None:
    lane = WorkerProcess(Call(task), timeout=10)
    try:
        with pytest.raises(WorkerDied, match="signal SIGTERM"):
            lane.run("die")
        with pytest.raises(WorkerDied, match="exit status 3"):
            lane.run("exit")
        assert lane.run("work") != os.getpid()
    finally:
        lane.stop()


def test_a_task_that_takes_too_long_is_ended() -> None:
    lane = WorkerProcess(Call(task), timeout=0.3)
    try:
        with pytest.raises(WorkerDied, match=r"longer than --timeout 0\.3 seconds"):
            lane.run("sleep")
    finally:
        lane.stop()
