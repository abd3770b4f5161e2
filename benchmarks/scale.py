"""Measure the cost of a cluster: a real scheduler, workers that only sleep, records of real size.

    python benchmarks/scale.py [--cells 100 1000 10000] [--workers 1 4 16 64] [--seconds 1]

The client and the scheduler are processes of their own; workers only wait, so many of them share a
process. Efficiency is the ideal time (whole rounds of cells) divided by the time taken. The CPU
time per cell of client and scheduler does not depend on other load, and limits how many cells per
second one scheduler can serve. Memory is the client's growth from the first to the last cell.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from measure import table

from sepbench.evaluation import cluster as clusters
from sepbench.evaluation import remote
from sepbench.evaluation.records import Record, StemResult

WORKERS_A_PROCESS = 16


@dataclass(frozen=True)
class _Named:
    label: str = ""
    name: str = ""
    subset: str = "test"


@dataclass(frozen=True)
class SleepTask:
    """The task of a cell: method, track, and how long it sleeps."""

    method: _Named
    track: _Named
    seconds: float
    identity: dict[str, Any]

    def record(self, **results: Any) -> Record:
        """Return a record of this cell."""
        facts = ("simulated", "test", self.track.name, self.method.label, self.method.name)
        return Record(*facts, options={}, fingerprint="0" * 64, identity={}, **results)


def sleep(task: SleepTask, source: None, *, timeout: None, isolate: bool) -> Record:
    """Sleep, and return a record as large as that of four stems of four minutes with BSSEval."""
    time.sleep(task.seconds)
    frames = {name: [1.23456789] * 240 for name in ("SDR", "ISR", "SIR", "SAR")}
    totals = {"uSDR": 1.23456789, "SI-SDR": 1.23456789}
    stems = ("vocals", "drums", "bass", "other")
    made = {stem: StemResult(stems, frames, totals, frames, totals) for stem in stems}
    return task.record(stems=made, seconds=task.seconds, audio_seconds=240.0)


def tasks(cells: int, seconds: float, methods: int = 20):
    """Yield the cells of each track."""
    for number in range(0, cells, methods):
        track = _Named(name=f"song {number // methods:05}")
        yield [
            SleepTask(_Named(f"m{k}", f"m{k}"), track, seconds, {"audio": ""})
            for k in range(min(methods, cells - number))
        ]


@dataclass(frozen=True)
class Cost:
    """Wall time, CPU time of client and scheduler in seconds, and growth of the client in MB."""

    wall: float
    client: float
    scheduler: float
    grown: float


def measure(cells: int, workers: int, seconds: float) -> Cost:
    """Run cells on workers and measure all but the first of each worker."""
    import scale  # Workers find the function by the name of its module.

    remote.reason_against = scale.no_reason
    with _loopback(workers) as (address, scheduler):
        cluster = clusters.Cluster(address, None, work=scale.sleep)
        while len(cluster._client.nthreads()) < workers:
            time.sleep(0.1)
        records = cluster.run(tasks(cells + workers, seconds))
        for _ in range(workers):
            next(records)
        here = psutil.Process()
        base = here.memory_info().rss
        start = time.perf_counter(), _spent(here), _spent(scheduler)
        for _ in records:
            pass
        end = time.perf_counter(), _spent(here), _spent(scheduler)
        spent = [after - before for before, after in zip(start, end, strict=True)]
        return Cost(*spent, (here.memory_info().rss - base) / 1e6)


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextmanager
def _loopback(workers: int) -> Iterator[tuple[str, psutil.Process]]:
    """Start a scheduler and workers; yield the address and the process of the scheduler."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    program = "import distributed.cli.dask_scheduler as program; program.main()"
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    # Workers sample their own stack, which would take most of the time with many in a process.
    environment["DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED"] = "False"
    commands = [["-c", program, *options]]
    for first in range(0, workers, WORKERS_A_PROCESS):
        count = min(WORKERS_A_PROCESS, workers - first)
        commands.append(["-c", f"import scale; scale.serve({address!r}, {count})"])
    running = [
        subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        yield address, psutil.Process(running[0].pid)
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()


def serve(address: str, count: int) -> None:
    """Run ``count`` workers until the process is killed."""
    from distributed import Worker

    async def work() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(count):
                worker = Worker(address, nthreads=1, dashboard=False)
                await stack.enter_async_context(worker)
            await asyncio.Event().wait()

    asyncio.run(work())


def no_reason(*where: object) -> None:
    """Accept any worker, because there are no songs to find."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--longest", type=float, default=300.0, help="Skip what takes longer.")
    options = parser.parse_args()
    heads = ["cells", "workers", "ideal", "took", "efficiency", "client", "scheduler", "MB"]
    rows = []
    for cells in options.cells:
        for workers in options.workers:
            ideal = math.ceil(cells / workers) * options.seconds
            if ideal > options.longest:
                continue
            cost = measure(cells, workers, options.seconds)
            rows.append([f"{cells}", f"{workers}", f"{ideal:.1f}", f"{cost.wall:.1f}"])
            rows[-1] += [f"{ideal / cost.wall:.2f}", f"{1e3 * cost.client / cells:.1f}"]
            rows[-1] += [f"{1e3 * cost.scheduler / cells:.1f}", f"{cost.grown:.0f}"]
            print(table(heads, rows[-1:]), flush=True)
    print(table(heads, rows))
    print("Seconds; ms of the processor a cell; MB by which the client grew.")


if __name__ == "__main__":
    main()
