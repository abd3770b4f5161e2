"""Separators that would hurt their neighbours, each in a process of its own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
from fakes import Calm

from sepbench._util.process import WorkerDied
from sepbench.errors import SepbenchError
from sepbench.inference import workers
from sepbench.inference.workers import SeparatorWorker, share_imports
from sepbench.registry import Method
from sepbench.separator import NoOptions, Separator

RATE = 8000
MIXTURE = np.random.default_rng(0).uniform(-0.5, 0.5, (2, RATE)).astype(np.float32)


class InPlace(Calm):
    name = "in-place"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        vocals = mixture / 4
        mixture.zero_()
        return {"vocals": vocals}


class Forking(Calm):
    name = "forking"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        os.fork()  # Both come back from here.
        return {"vocals": mixture / 2}


class Spoiling(Calm):
    """Changes what it can, and is twice as loud where it finds something changed."""

    name = "spoiling"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        spoiled = torch.get_default_dtype() == torch.float64 or "SPOILED" in os.environ
        torch.set_default_dtype(torch.float64)
        os.environ["SPOILED"] = "1"
        os.chdir("/")
        return {"vocals": mixture / (1 if spoiled else 2)}


class Random(Calm):
    name = "random"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        draw = torch.rand(()) + random.random() + np.random.rand()  # noqa: NPY002, S311
        return {"vocals": mixture * draw / 3}


class Quitting(Calm):
    name = "quitting"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        raise KeyboardInterrupt


class Endless(Calm):
    name = "endless"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        sum(range(10**12))  # In C, with the interpreter's lock held.
        return {}


def method(separator: type[Separator]) -> Method:
    return Method(separator.name, separator, NoOptions(), "tests 1")


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[SeparatorWorker]:
    worker = SeparatorWorker(method(request.param), "cpu", timeout=60)
    yield worker
    worker.stop()


def vocals(worker: SeparatorWorker) -> np.ndarray:
    return worker.separate(MIXTURE, RATE)[0].stems["vocals"]


@pytest.mark.slow
@pytest.mark.parametrize("isolate", [True, False])
def test_work_in_place_reaches_neither_the_song_nor_the_remainder(isolate: bool) -> None:
    before = MIXTURE.copy()
    worker = SeparatorWorker(method(InPlace), "cpu", isolate=isolate)
    for _ in range(2):
        stems = worker.separate(MIXTURE, RATE)[0].stems
        np.testing.assert_array_equal(stems["accompaniment"], MIXTURE - MIXTURE / 4)
    worker.stop()
    np.testing.assert_array_equal(MIXTURE, before)


class Listing(Calm):
    name = "listing"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return [mixture]  # type: ignore[return-value]


@pytest.mark.parametrize("worker", [Listing], indirect=True)
def test_an_answer_of_another_kind_is_reported_in_one_line(worker: SeparatorWorker) -> None:
    with pytest.raises(SepbenchError) as refused:
        worker.separate(MIXTURE, RATE)
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("worker", [Forking], indirect=True)
def test_a_fork_that_comes_back_too_answers_nothing(worker: SeparatorWorker) -> None:
    for _ in range(3):
        np.testing.assert_array_equal(vocals(worker), MIXTURE / 2)
    chunks = [MIXTURE[:, :3000], MIXTURE[:, 3000:]]
    parts = [part["vocals"] for part in worker.stream(chunks, RATE)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), MIXTURE / 2)


@pytest.mark.parametrize("worker", [Spoiling], indirect=True)
def test_what_a_method_changes_in_its_process_does_not_reach_the_next_song(
    worker: SeparatorWorker,
) -> None:
    for _ in range(2):
        list(worker.stream([MIXTURE], RATE))
    parts = [part["vocals"] for part in worker.stream([MIXTURE], RATE)]
    np.testing.assert_array_equal(parts[0], MIXTURE / 2)
    assert torch.get_default_dtype() == torch.float32
    assert "SPOILED" not in os.environ


@pytest.mark.parametrize("worker", [Random], indirect=True)
def test_global_random_numbers_repeat_with_every_song(worker: SeparatorWorker) -> None:
    first = vocals(worker)
    np.testing.assert_array_equal(vocals(worker), first)


def test_a_class_that_cannot_be_pickled_is_found_by_its_entry_point() -> None:
    from sepbench import registry

    (found,) = registry.resolve("mixture[gain=0.5]")
    name = found.separator.__qualname__
    found.separator.__qualname__ = "nowhere.<locals>.Mixture"
    try:
        worker = SeparatorWorker(found, "cpu")
    finally:
        found.separator.__qualname__ = name
    np.testing.assert_array_equal(vocals(worker), MIXTURE / 2)
    worker.stop()


@pytest.mark.parametrize("worker", [Quitting], indirect=True)
def test_an_interrupt_that_a_plugin_raises_is_its_failure(worker: SeparatorWorker) -> None:
    with pytest.raises(SepbenchError, match="method quitting: KeyboardInterrupt"):
        vocals(worker)


class SlowAtFirst(Calm):
    """Takes a second to load, and another for the first audio."""

    name = "slow-at-first"

    def load(self, device: torch.device) -> None:
        time.sleep(1)
        self.wait = 1.0

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        time.sleep(self.wait)
        self.wait = 0.0
        return {"vocals": mixture / 2}


class NeverLoaded(Calm):
    name = "never-loaded"

    def load(self, device: torch.device) -> None:
        time.sleep(60)


@pytest.mark.slow
def test_the_timeout_is_for_songs_without_what_comes_before_them() -> None:
    worker = SeparatorWorker(method(SlowAtFirst), "cpu", timeout=0.7)
    for _ in range(2):
        np.testing.assert_array_equal(vocals(worker), MIXTURE / 2)
    worker.stop()


@pytest.mark.parametrize(
    ("separator", "limit", "reason"),
    [
        (NeverLoaded, "LOADING", r"longer than 0\.4 seconds to load"),
        (Endless, "WARM_UP", r"longer than 0\.4 seconds for its first second of audio"),
    ],
)
def test_what_comes_before_songs_has_a_limit_too(
    monkeypatch: pytest.MonkeyPatch, separator: type[Separator], limit: str, reason: str
) -> None:
    monkeypatch.setattr(workers, limit, 0.4)
    worker = SeparatorWorker(method(separator), "cpu", timeout=0.2)
    with pytest.raises(WorkerDied, match=reason):
        vocals(worker)
    worker.stop()


def test_a_method_that_never_loads_is_not_tried_with_every_song(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "LOADING", 0.4)
    worker = SeparatorWorker(method(NeverLoaded), "cpu", timeout=0.2)
    for _ in range(2):
        with pytest.raises(WorkerDied):
            vocals(worker)
    monkeypatch.setattr(workers, "LOADING", 3600.0)
    with pytest.raises(WorkerDied, match=r"longer than 0\.4 seconds to load"):
        vocals(worker)
    worker.stop()


class EndlessWhole(Endless):
    """Ends on the first second of audio alone."""

    name = "endless-whole"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return super().separate(mixture) if mixture.shape[1] > RATE else {"vocals": mixture}


def test_code_that_holds_the_interpreter_is_ended_by_the_timeout() -> None:
    worker = SeparatorWorker(method(EndlessWhole), "cpu", timeout=0.5)
    with pytest.raises(WorkerDied, match=r"longer than --timeout 0\.5 seconds"):
        worker.separate(np.tile(MIXTURE, 2), RATE)
    worker.stop()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's signal is Linux's")
def test_workers_end_with_their_parent_even_in_the_middle_of_c_code() -> None:
    code = (
        "import sys; sys.path[:0] = ['tests', '.']\n"
        "import threading, time\n"
        "from inference.test_workers import *\n"
        "worker = SeparatorWorker(method(Endless), 'cpu')\n"
        "threading.Thread(target=vocals, args=[worker], daemon=True).start()\n"
        "while not worker.is_running: time.sleep(0.01)\n"
        "time.sleep(4)\n"
        "print(worker._worker._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        for _ in range(100):
            if not os.path.exists(f"/proc/{child}"):
                return
            time.sleep(0.1)
    os.kill(child, 9)
    pytest.fail("the worker outlived its parent")


@pytest.mark.parametrize(
    ("count", "owner", "preloaded"),
    [(2, "sepbench 1.0", ["slow"]), (1, "sepbench 1.0", []), (2, "somebody 1.0", [])],
)
def test_imports_that_several_of_our_methods_name_are_shared(monkeypatch, count, owner, preloaded):
    class Slow(Calm):
        name = "slow"
        preload = "slow"

    asked: list[str] = []
    monkeypatch.setattr(workers, "preload", asked.extend)
    share_imports(Method(f"slow[{number}]", Slow, NoOptions(), owner) for number in range(count))
    assert asked == preloaded
