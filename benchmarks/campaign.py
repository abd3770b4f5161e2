"""Measure 'report --import' of a campaign as large as SiSEC 2018: 31 systems, 1.5 million frames.

    python benchmarks/campaign.py [--systems 8 16 31] [--folder FOLDER]

The files are laid out as museval writes them, of random scores: 50 tracks, five targets, 200
windows. "import" is the CPU time of taking them into a new run, "command" that of all of
'sepbench report RUN --import ...', with tables and plots.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import Clock, in_own_process, table

from sepbench.report.importing import import_scores
from sepbench.report.published import campaign

TARGETS = ("vocals", "drums", "bass", "other", "accompaniment")
WINDOWS = 200
SCORES = ("SDR", "SIR", "ISR", "SAR")


def make(folder: Path, systems: int) -> None:
    """Write the files of systems that are not there yet."""
    tracks = sorted(set(campaign()["track"]))
    for number in range(systems):
        place = folder / f"system {number:02}" / "test"
        if place.is_dir():
            continue
        place.mkdir(parents=True)
        random = np.random.default_rng(number)
        for track in tracks:
            values = random.normal(4, 4, (len(TARGETS), WINDOWS, len(SCORES))).round(5).tolist()
            text = json.dumps(
                {"targets": [_target(*one) for one in zip(TARGETS, values, strict=True)]}, indent=2
            )
            (place / f"{track}.json").write_text(text)


def _target(name: str, values: list[list[float]]) -> dict[str, object]:
    frames = [
        {"time": float(at), "duration": 1.0, "metrics": dict(zip(SCORES, row, strict=True))}
        for at, row in enumerate(values)
    ]
    return {"name": name, "frames": frames}


def _systems(folder: Path, systems: int) -> dict[str, Path]:
    return {f"system-{n:02}": folder / f"system {n:02}" for n in range(systems)}


def taken_in(folder: Path, systems: int, out: Path) -> float:
    """Return the CPU seconds of the import alone."""
    with Clock() as clock:
        import_scores(out, {name: [path] for name, path in _systems(folder, systems).items()})
    return clock.spent["cpu"]


def command(folder: Path, systems: int, out: Path) -> float:
    """Return the CPU seconds of the whole command."""
    pairs = _systems(folder, systems).items()
    words = [word for name, path in pairs for word in ("--import", f"{name}={path}")]
    before = os.times()
    run = [sys.executable, "-m", "sepbench", "report", str(out), *words]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - sum(before[2:4])


def main() -> None:
    """Print CPU seconds by number of systems."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", type=int, nargs="+", default=[8, 16, 31])
    parser.add_argument("--folder", type=Path, help="Where the files are, or go and stay.")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="sepbench-campaign-"))
    rows = []
    try:
        make(folder, max(given.systems))
        for systems in given.systems:
            seconds = []
            for measure in (taken_in, command):
                with tempfile.TemporaryDirectory() as out:
                    run = Path(out, "run")
                    seconds.append(in_own_process(measure, folder, systems, run))
            rows.append([str(systems), *(f"{number:.1f} s" for number in seconds)])
    finally:
        if given.folder is None:
            shutil.rmtree(folder)
    print(table(["systems", "import", "command"], rows))


if __name__ == "__main__":
    main()
