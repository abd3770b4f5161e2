"""Compare programs that separate the same song: speed, agreement and memory, in one run.

On a busy machine, set ``OMP_WAIT_POLICY=passive``: otherwise most of the time measured is that of
threads that spin while they wait for each other.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import psutil
import torch
from measure import Clock, in_own_process, share_of_peak, table
from songs import RATE, song
from threadpoolctl import threadpool_limits

from sepbench.errors import SepbenchError

Stems = dict[str, np.ndarray]
Method = Callable[[torch.Tensor], Stems]

_MINUTES = 20


def mixture(seconds: float) -> torch.Tensor:
    """Return a stereo song ``(2, samples)``, repeated after half a minute."""
    bar = sum(song(min(seconds, 30.0)).values())
    samples = round(seconds * RATE)
    whole = torch.empty(2, samples)
    for start in range(0, samples, bar.shape[1]):
        whole[:, start : start + bar.shape[1]] = bar[:, : samples - start]
    return whole


def once(method: Method, seconds: float, threads: int, keep: bool) -> dict[str, object]:
    """Separate one song, after a short one that warms up."""
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        method(mixture(3.0))
        given = mixture(seconds)
        before = psutil.Process().memory_info().rss
        with share_of_peak() as peak, Clock() as clock:
            stems = method(given)
    return {**clock.spent, "peak": before + peak.bytes, "stems": stems if keep else {}}


def agreement(theirs: Stems, ours: Stems) -> dict[str, float]:
    """Return for each stem the energy of theirs relative to that of the difference, in dB."""
    return {
        name: float(
            10 * np.log10(np.square(stem).sum() / (np.square(stem - ours[name]).sum() + 1e-30))
        )
        for name, stem in theirs.items()
    }


def main(ours: Method, others: Mapping[str, Method]) -> None:
    """Let ``ours`` and the ``others`` separate the same song in turns and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--long", action="store_true", help=f"{_MINUTES} minutes by sepbench alone")
    parser.add_argument("--json")
    options = parser.parse_args()
    rows, records = [], []

    def note(name: str, seconds: float, threads: int, run: dict, **more: object) -> None:
        measured = {key: value for key, value in run.items() if key != "stems"}
        records.append(
            {"program": name, "seconds": seconds, "threads": threads, **measured, **more}
        )

    for threads in options.threads:
        mine = in_own_process(once, ours, options.seconds, threads, True)
        note("sepbench", options.seconds, threads, mine)
        rows.append(_row("sepbench", options.seconds, threads, mine))
        for name, method in others.items():
            try:
                their = in_own_process(once, method, options.seconds, threads, True)
            except (ImportError, SepbenchError) as error:
                print(f"{name} is left out: {error}")
                continue
            equal = agreement(their["stems"], mine["stems"])
            note(name, options.seconds, threads, their, agreement=equal)
            rows.append(
                [
                    *_row(name, options.seconds, threads, their),
                    f"{their['wall'] / mine['wall']:.1f}",
                    f"{their['cpu'] / mine['cpu']:.1f}",
                    " ".join(f"{value:.0f}" for value in equal.values()),
                ]
            )
    if options.long:
        threads = options.threads[-1]
        run = in_own_process(once, ours, _MINUTES * 60.0, threads, False)
        note("sepbench", _MINUTES * 60.0, threads, run)
        rows.append(_row("sepbench", _MINUTES * 60.0, threads, run))
    heads = "program seconds threads wall-s cpu-s peak-MB wall-ratio cpu-ratio agreement-dB".split()
    print(table(heads, [[*row, *[""] * (len(heads) - len(row))] for row in rows]))
    print("Peak: the whole process, program, song and stems included. Ratios: times sepbench's.")
    if options.json:
        Path(options.json).write_text(json.dumps(records, indent=1))


def _row(name: str, seconds: float, threads: int, run: dict) -> list[str]:
    return [
        name,
        f"{seconds:g}",
        f"{threads}",
        f"{run['wall']:.2f}",
        f"{run['cpu']:.2f}",
        f"{run['peak'] / 1e6:.0f}",
    ]
