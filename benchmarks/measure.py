"""Clocks, memory and tables for the benchmarks."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psutil


class Clock:
    """Measures the wall time and the CPU time of a block, over all threads of the process."""

    def __enter__(self) -> Clock:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: object) -> None:
        wall, cpu = self._start
        self.spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


@contextmanager
def share_of_peak() -> Iterator[SimpleNamespace]:
    """Measure how far memory grows above that of the process on entry, in bytes."""
    process = psutil.Process()
    base = process.memory_info().rss
    peak = SimpleNamespace(bytes=0)
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak.bytes = max(peak.bytes, process.memory_info().rss - base)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def in_own_process(run: Callable[..., Any], *given: Any) -> Any:
    """Call a function in a new interpreter and return its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, given)


_SET_CHILD_SUBREAPER = 36
"""``PR_SET_CHILD_SUBREAPER`` of Linux: orphans below this process become its children."""


def adopt_orphans() -> None:
    """Make processes that leave their parent children of this one, so that their time counts."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_children() -> None:
    """Wait until all child processes have ended; some end after the command that started them."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format rows under their heads, with columns as wide as their widest entry."""
    lines = [list(heads), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(entry.rjust(width) for entry, width in zip(line, widths, strict=True))
        for line in lines
    )
