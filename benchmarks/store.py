"""Measure the cost of a report of a large campaign, on a simulated store.

    python benchmarks/store.py [--methods 100] [--tracks 1000] [--windows 30] [--folder FOLDER]

The store has scores of four stems with ``--metric sdr``, or with ``--bsseval`` all four of BSSEval.
Prints the wall time, the CPU time and the peak of memory of the first report, which makes the
index, of the next one, and of one after a method was added. "what is new" is the CPU time for
reading new files and summarising their scores with intervals.
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import Clock, in_own_process, table

from sepbench.evaluation import store as stores
from sepbench.evaluation.records import Record, StemResult
from sepbench.evaluation.store import Settings, Store

STEMS = ("vocals", "drums", "bass", "other")
SUBSET = "test"


def make(folder: Path, methods: range, tracks: int, windows: int, *, bsseval: bool) -> None:
    """Write the records of these methods as an evaluation does, without waiting for the disk."""
    store = Store.create(folder, Settings("musdb18", SUBSET))
    stores.write_atomic = _write_at_once
    names = ("SDR", "ISR", "SIR", "SAR") if bsseval else ("SDR",)
    for number in methods:
        random = np.random.default_rng(number)
        label = f"method-{number:03}"
        for track in range(tracks):
            scores = random.normal(number / 20, 3, (len(STEMS), 2, len(names), windows)).round(6)
            results = {
                stem: StemResult(
                    STEMS,
                    dict(zip(names, estimate.tolist(), strict=True)),
                    {"uSDR": float(estimate.mean()), "SI-SDR": float(estimate.min())},
                    dict(zip(names, mixture.tolist(), strict=True)),
                    {"uSDR": float(mixture.mean()), "SI-SDR": float(mixture.min())},
                )
                for stem, (estimate, mixture) in zip(STEMS, scores, strict=True)
            }
            store.save(
                Record(
                    "musdb18",
                    SUBSET,
                    f"track {track:04}",
                    label,
                    label,
                    {},
                    f"{number}-{track}",
                    {"method": label, "sepbench": "0", "audio": f"{track:064x}"},
                    results,
                    seconds=float(windows),
                    audio_seconds=float(windows),
                    peak_bytes=10**9,
                )
            )


def _write_at_once(path: Path, content: str) -> os.stat_result:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path.stat()


def report(folder: Path) -> tuple[float, float, float, float]:
    """Write the tables and pictures.

    Return the CPU seconds for new records, the wall and CPU seconds for all, and the peak of
    memory in MB.
    """
    from sepbench.report import build, tables
    from sepbench.report.index import Index

    taken_in: list[float] = []
    for owner, name in ((Index, "update"), (tables, "summary_table")):
        _count(owner, name, taken_in)
    with Clock() as clock:
        build.write(Store.open(folder), protocol="sisec18")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return sum(taken_in), clock.spent["wall"], clock.spent["cpu"], peak


def _count(owner: Any, name: str, spent: list[float]) -> None:
    """Append the CPU seconds of each call of a function from now on."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def counted(*given: Any, **named: Any) -> Any:
        with Clock() as clock:
            found = function(*given, **named)
        spent.append(clock.spent["cpu"])
        return found

    setattr(owner, name, counted)


def main() -> None:
    """Make the store and print the cost of its reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", type=int, default=100)
    parser.add_argument("--tracks", type=int, default=1000)
    parser.add_argument("--windows", type=int, default=30, help="Of 1 s each, by track.")
    parser.add_argument("--bsseval", action="store_true", help="SDR, ISR, SIR and SAR.")
    parser.add_argument("--folder", type=Path, help="Where the store is, or goes and stays.")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="sepbench-store-"))
    shape = given.tracks, given.windows
    try:
        if not (folder / "run.json").is_file():
            make(folder, range(given.methods), *shape, bsseval=given.bsseval)
        rows = [("first, makes the index", *in_own_process(report, folder))]
        rows.append(("next", *in_own_process(report, folder)))
        number = len(list((folder / "scores").iterdir()))
        make(folder, range(number, number + 1), *shape, bsseval=given.bsseval)
        rows.append(("one more method", *in_own_process(report, folder)))
    finally:
        if given.folder is None:
            shutil.rmtree(folder)
    print(f"{given.methods} methods, {given.tracks} tracks, {given.windows} windows")
    shown = [[name, *(f"{number:.1f}" for number in numbers)] for name, *numbers in rows]
    print(table(["report", "what is new", "seconds", "processor", "MB"], shown))


if __name__ == "__main__":
    main()
