"""Runs work in a forked child that may be killed, and counts what came of it."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import click
import psutil

from sepbench.cli.main import main
from sepbench.errors import SepbenchError

DONE, REFUSED, TRACEBACK, HANG = 0, 2, 3, 4
SCALE = float(os.environ.get("SEPBENCH_DRILL", "1"))
_IN_A_ROW = 5
"""Kills of one piece of work, at most, before it is let end."""


SECONDS = float(os.environ.get("SEPBENCH_DRILL_SECONDS", "inf"))
"""How long one kind is tried; the table says how often that was."""


def times(count: int) -> Iterator[int]:
    """Count the tries of one kind, until its time is over."""
    began = time.monotonic()
    for number in range(max(1, round(count * SCALE))):
        if number and time.monotonic() - began > SECONDS:
            return
        yield number


@dataclass
class Tally:
    """How often something was tried, how often all was well after it, and what was not."""

    kind: str
    tried: int = 0
    survived: int = 0
    faults: list[str] = field(default_factory=list)

    def note(self, fault: str | None) -> None:
        """Count one try; ``fault`` is None where all was well."""
        self.tried += 1
        if fault is None:
            self.survived += 1
        else:
            self.faults.append(fault)

    def line(self) -> str:
        """Return the row of the table."""
        first = f"   {self.faults[0][:100]}" if self.faults else ""
        return f"{self.kind:36}{self.tried:7}{self.survived:10}{len(self.faults):8}{first}"


HEADING = f"{'kind':36}{'tried':>7}{'survived':>10}{'faults':>8}"


def in_child(
    work: Callable[[], object],
    *,
    kill_after: float | None = None,
    kill_at: int | None = None,
    file_size: int | None = None,
    memory: int | None = None,
    limit: float = 300.0,
    log: Path | None = None,
) -> int:
    """Do work in a fork of this process; return how it ended, ``-9`` for killed.

    It is killed after ``kill_after`` seconds, or before it opens, renames or removes its
    ``kill_at``-th file. ``file_size`` and ``memory`` are limits in bytes, memory on top of what
    there is.
    """
    pid = os.fork()
    if pid == 0:
        if kill_at is not None:
            _die_at(kill_at)
        _work(work, file_size, memory, log)
    return _wait(pid, limit, kill_after)


_FILE_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"})


def _on_files(do: Callable[[], None]) -> None:
    """Have something done before each step of this process on a file, to its end."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILE_EVENTS:
            do()

    sys.addaudithook(hook)


def _die_at(last: int) -> None:
    steps = itertools.count(1)
    _on_files(lambda: os.kill(os.getpid(), signal.SIGKILL) if next(steps) == last else None)


def _counted(work: Callable[[], object], log: Path) -> int:
    """Return how many steps on files some work takes."""
    counts = log.with_name("steps")

    def counting() -> None:
        steps: list[None] = []
        _on_files(lambda: steps.append(None))
        work()
        number = len(steps)
        counts.write_text(str(number))

    assert in_child(counting, log=log) == DONE, log.read_text()
    return int(counts.read_text())


def verb(*words: str | Path) -> None:
    """Run a command of sepbench in this process, silently."""
    server: Any = vars(forkserver)["_forkserver"]
    if server._forkserver_pid is not None:
        server.ensure_running = lambda: None  # A fork may use its parent's, but cannot wait for it.
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        try:
            main.main([*map(str, words), "--quiet"], standalone_mode=False)
        except click.ClickException as error:
            raise SepbenchError(error.message) from error


def _wait(pid: int, limit: float, kill_after: float | None = None) -> int:
    """Return how a child ended; kill one that is to be killed, or that takes too long."""
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        passed = time.monotonic() - began
        if passed > limit or (kill_after is not None and passed >= kill_after):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return HANG if passed > limit else -signal.SIGKILL
        time.sleep(0.002)


def _work(
    work: Callable[[], object], file_size: int | None, memory: int | None, log: Path | None
) -> None:
    try:
        if file_size is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        if memory is not None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + memory
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        work()
    except SepbenchError:
        os._exit(REFUSED)
    except BaseException:
        if log is not None:
            with log.open("a") as file:
                traceback.print_exc(file=file)
        os._exit(TRACEBACK)
    os._exit(DONE)


def killed(
    tally: Tally,
    draw: random.Random,
    work: Callable[[Path], object],
    fault: Callable[[Path], str | None],
    tmp_path: Path,
    count: int,
) -> None:
    """Kill work up to five times, then let it end, and look for what is wrong.

    Half of the kills come at a moment of its usual time, half before one of its steps on files,
    between which the disk does not change. What ends before it can be killed does not count.
    """
    log = tmp_path / "log"
    began = time.monotonic()
    assert in_child(lambda: work(tmp_path / "timed"), log=log) == DONE, log.read_text()
    usual = time.monotonic() - began
    steps = _counted(lambda: work(tmp_path / "counted"), log)
    left = max(1, round(count * SCALE))
    for number in times(4 * count):
        if left <= 0:
            return
        folder = tmp_path / str(number)
        kills, reason = 0, None
        for _ in range(min(left, draw.randint(1, _IN_A_ROW))):
            when: dict[str, Any] = {"kill_after": draw.uniform(0, usual)}
            if draw.random() < 0.5:
                when = {"kill_at": draw.randint(1, steps)}
            ended = in_child(partial(work, folder), log=log, **when)
            kills += ended == -signal.SIGKILL
            if ended in (TRACEBACK, REFUSED, HANG):
                reason = f"{number}: {ended} after {kills} kills: {_told(log)}"
                break
        if reason is None:
            began = time.monotonic()
            ended = in_child(partial(work, folder), log=log)
            usual = (usual + time.monotonic() - began) / 2  # Others may use the machine.
            reason = fault(folder) if ended == DONE else f"{number} again: {ended}: {_told(log)}"
        left -= kills
        for _ in range(max(kills, reason is not None)):
            tally.note(reason)
        shutil.rmtree(folder, ignore_errors=reason is None)


def workers_left() -> list[str]:
    """Return the processes that the server has forked and that have not ended by themselves."""
    server = psutil.Process(vars(forkserver)["_forkserver"]._forkserver_pid)
    _, alive = psutil.wait_procs(server.children(), timeout=30)
    return [str(process) for process in alive]


def together(works: list[Callable[[], object]], *, log: Path, limit: float = 120.0) -> list[int]:
    """Do work in forks at the same time; return how each ended."""
    children = []
    for work in works:
        pid = os.fork()
        if pid == 0:
            _work(work, None, None, log)
        children.append(pid)
    return [_wait(pid, limit) for pid in children]


def _told(log: Path) -> str:
    return log.read_text()[-300:] if log.exists() else ""


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
    began = time.process_time()
    try:
        read()
        fault = None
    except SepbenchError as error:
        fault = f"{what}: several lines" if "\n" in str(error).strip() else None
    except Exception as error:
        fault = f"{what}: {type(error).__name__}: {error}"
    if time.process_time() - began > 20:
        fault = f"{what}: {time.process_time() - began:.0f} s"
    tally.note(fault)
