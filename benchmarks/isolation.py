"""Measure what separate processes cost in 'evaluate --all', against the same work in one process.

    python benchmarks/isolation.py [--songs 10] [--seconds 12] [--method NAME ...]

CPU seconds, with those of all children: with a worker for each method and one that scores, and
everything in one process. Both write the same scores, which is checked, with one thread each.
Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import adopt_orphans, table, wait_for_children


def evaluate(folder: Path, how: argparse.Namespace) -> None:
    """Score the methods on simulated songs, as the command does."""
    from sepbench import registry
    from sepbench.datasets.simulated import Simulated
    from sepbench.evaluation.run import RunConfig, run
    from sepbench.evaluation.store import Settings, Store

    names = how.method or [info.name for info in registry.plugins() if info.reason is None]
    tracks = Simulated(count=how.songs, seconds=how.seconds).tracks("test")
    store = Store.create(folder, Settings("simulated", "test"))
    plan = RunConfig(metrics=("sdr",), isolate=how.run == "processes")
    run(tracks, registry.resolve_all(names), store, plan)


def spent(words: list[str]) -> float:
    """Return the CPU seconds of a command and of everything that it starts."""
    before = _children()
    subprocess.run([sys.executable, __file__, *words], check=True)
    wait_for_children()
    return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def scores(folder: Path) -> dict[str, Any]:
    """Return all scores of a run by file, and the reason of each failure."""
    found = {}
    for path in sorted(folder.glob("*/*/*/*.json")):
        record = json.loads(path.read_text())["sepbench"]
        kept = {name: one["totals"] for name, one in record["stems"].items()}
        found["/".join(path.parts[-3:])] = record["error"] or kept
    return found


def main() -> None:
    """Print CPU seconds with and without processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--method", action="append", help="only this one; may be repeated")
    parser.add_argument("--run", choices=["processes", "one"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    how = parser.parse_args()
    if how.run:
        evaluate(how.out, how)
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    adopt_orphans()
    with tempfile.TemporaryDirectory() as temporary:
        seconds, found = {}, {}
        for run in ("processes", "one"):
            folder = Path(temporary, run)
            seconds[run] = spent([*sys.argv[1:], "--run", run, "--out", str(folder)])
            found[run] = scores(folder)
    same = found["processes"] == found["one"]
    failed = sum(isinstance(one, str) for one in found["processes"].values())
    cost = seconds["processes"] / seconds["one"] - 1
    row = [f"{seconds['processes']:.1f} s", f"{seconds['one']:.1f} s", f"{100 * cost:+.1f} %"]
    cells = [f"{len(found['one'])} ({failed} failed)", "the same" if same else "DIFFERENT"]
    print(table(["processes", "one process", "cost", "cells", "scores"], [[*row, *cells]]))


if __name__ == "__main__":
    main()
