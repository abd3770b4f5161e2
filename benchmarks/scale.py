"""What a cluster costs: a real scheduler, workers that only sleep, records of real size.

    python benchmarks/scale.py [--cells 100 1000 10000] [--workers 1 4 16 64] [--seconds 1]

Efficiency is the ideal time, whole rounds of cells, against the time it took. Memory is
the client's growth from the first to the last cell.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from typing import Any

import psutil
from measure import table

from sepbench.evaluation.cluster import Cluster
from sepbench.evaluation.store import Record, StemResult


@dataclass(frozen=True)
class _Named:
    label: str = ""
    name: str = ""
    subset: str = "test"


@dataclass(frozen=True)
class SleepTask:
    """What a cluster knows of a cell: method, track, and how long it sleeps."""

    method: _Named
    track: _Named
    seconds: float
    identity: dict[str, Any]

    def record(self, **results: Any) -> Record:
        """Return a record of this cell."""
        facts = ("simulated", "test", self.track.name, self.method.label, self.method.name)
        return Record(*facts, options={}, fingerprint="0" * 64, identity={}, **results)


def sleep(task: SleepTask, source: None, *, timeout: None, isolate: bool) -> Record:
    """Sleep, and return what four stems of four minutes by BSSEval have."""
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


def measure(cells: int, workers: int, seconds: float) -> tuple[float, float]:
    """Return seconds, and the client's growth in MB."""
    from distributed import LocalCluster

    import sepbench.evaluation.cluster as clusters

    clusters.reason_against = _no_reason
    with LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None
    ) as local:
        cluster = Cluster(local.scheduler_address, None, work=sleep)
        process = psutil.Process()
        records = cluster.run(tasks(cells + workers, seconds))
        for _ in range(workers):
            next(records)  # Workers are found and asked, once a run.
        start, base = time.perf_counter(), process.memory_info().rss
        for _ in records:
            pass
        return time.perf_counter() - start, (process.memory_info().rss - base) / 1e6


def _no_reason(*where: object) -> None:
    return None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--longest", type=float, default=300.0, help="Skip what takes longer.")
    options = parser.parse_args()
    rows = []
    for cells in options.cells:
        for workers in options.workers:
            ideal = math.ceil(cells / workers) * options.seconds
            if ideal > options.longest:
                continue
            spent, grown = measure(cells, workers, options.seconds)
            rows.append([f"{cells}", f"{workers}", f"{ideal:.1f}", f"{spent:.1f}"])
            rows[-1] += [f"{ideal / spent:.2f}", f"{grown:.0f}"]
            print(table(["cells", "workers", "ideal", "took", "efficiency", "MB"], rows[-1:]))
    print(table(["cells", "workers", "ideal", "took", "efficiency", "MB"], rows))
    print("Seconds; MB by which client, scheduler and workers, all in one process, grew.")


if __name__ == "__main__":
    main()
