"""Runs work in a forked child that may be killed, and counts what came of it."""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sepbench.errors import SepbenchError

DONE, REFUSED, TRACEBACK, HANG = 0, 2, 3, 4


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
        return f"{self.kind:32}{self.tried:7}{self.survived:10}{len(self.faults):8}{first}"


HEADING = f"{'kind':32}{'tried':>7}{'survived':>10}{'faults':>8}"


def in_child(
    work: Callable[[], object],
    *,
    kill_after: float | None = None,
    file_size: int | None = None,
    memory: int | None = None,
    limit: float = 120.0,
    log: Path | None = None,
) -> int:
    """Do work in a fork of this process; return how it ended, ``-9`` for killed.

    ``file_size`` and ``memory`` are limits in bytes, memory on top of what there is.
    """
    pid = os.fork()
    if pid == 0:
        _work(work, file_size, memory, log)
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        passed = time.monotonic() - began
        if kill_after is not None and passed >= kill_after:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -signal.SIGKILL
        if passed > limit:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return HANG
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
