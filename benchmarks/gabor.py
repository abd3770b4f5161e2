"""Compare the Gabor transform and its inverse with the nsgt library's loop, in one run.

The frame is MiXiN's: 96 Bark bands, chunks of 44032 samples. The library transforms one chunk and
one channel at a time.

python benchmarks/gabor.py [--seconds 240] [--threads 1 2] [--long] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import compare
import numpy as np
import psutil
import torch
from measure import Clock, in_own_process, share_of_peak, table
from threadpoolctl import threadpool_limits

from sepbench.dsp.nsgt import Nsgt, RaggedNsgt, bark
from sepbench.dsp.slices import Slices

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the folder of old_nsgt.py

CHUNK = 44032
SCALE = bark(0, 22050, 96)
AT_ONCE = {Nsgt: 1, RaggedNsgt: 4}  # slices; more do not fit into the CPU cache
MINUTES = 20

Method = Callable[[torch.Tensor], torch.Tensor]


def library(form: str) -> Method:
    """Return the library's loop."""
    from old_nsgt import library_frame

    frame = library_frame(SCALE, compare.RATE, CHUNK, matrix=form == "matrix")

    def there_and_back(song: torch.Tensor) -> torch.Tensor:
        chunks = Slices(CHUNK, 0).cut(song).double().numpy()
        back = np.empty_like(chunks)
        for channel, index in np.ndindex(chunks.shape[:2]):
            coefficients = list(frame.forward(chunks[channel, index]))
            if form == "matrix":
                coefficients = np.array(coefficients)
            back[channel, index] = frame.backward(coefficients)
        return torch.from_numpy(back).flatten(1)[:, : song.shape[1]]

    return there_and_back


def sepbench(transform: Nsgt | RaggedNsgt, overlap: int = 0) -> Method:
    """Return sepbench's transform, which takes a few slices at a time."""
    slices = Slices(CHUNK, overlap)

    def there_and_back(song: torch.Tensor) -> torch.Tensor:
        back = torch.zeros_like(song)
        for first, last in slices.blocks(song.shape[1], AT_ONCE[type(transform)]):
            coefficients = transform.forward(slices.cut(song, first, last))
            slices.add(back, transform.inverse(coefficients), first)
        return back

    return there_and_back


METHODS: dict[str, Callable[[], Method]] = {
    "library matrix": lambda: library("matrix"),
    "library ragged": lambda: library("ragged"),
    "sepbench matrix 1948": lambda: sepbench(Nsgt(SCALE)),
    "sepbench matrix 2048": lambda: sepbench(Nsgt(SCALE, frames=2048)),
    "sepbench ragged own": lambda: sepbench(RaggedNsgt(SCALE)),
    "sepbench ragged grouped": lambda: sepbench(RaggedNsgt(SCALE, lengths="grouped")),
    "sepbench matrix 2048, halves overlap": lambda: sepbench(
        Nsgt(SCALE, frames=2048), overlap=CHUNK // 2
    ),
}


def once(name: str, seconds: float, threads: int) -> dict[str, float]:
    """Transform one song and back, after a short one that warms up."""
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        method = METHODS[name]()
        method(compare.mixture(3.0))
        song = compare.mixture(seconds)
        before = psutil.Process().memory_info().rss
        with share_of_peak() as peak, Clock() as clock:
            back = method(song)
    # The library reconstructs the song to 1e-15, so this is also the difference from the library.
    worst = float((back - song).abs().max())
    return {**clock.spent, "peak": before + peak.bytes, "worst": worst}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--long", action="store_true", help=f"{MINUTES} minutes by sepbench alone")
    parser.add_argument("--json")
    options = parser.parse_args()
    records, rows = [], []
    for threads in options.threads:
        theirs: dict[str, float] = {}
        for name in METHODS:
            run = in_own_process(once, name, options.seconds, threads)
            theirs = theirs or run
            records.append({"program": name, "seconds": options.seconds, "threads": threads, **run})
            rows.append(_row(name, options.seconds, threads, run, theirs))
    if options.long:
        for name in [name for name in METHODS if name.startswith("sepbench")]:
            run = in_own_process(once, name, MINUTES * 60.0, options.threads[-1])
            records.append({"program": name, "seconds": MINUTES * 60.0, **run})
            rows.append(_row(name, MINUTES * 60.0, options.threads[-1], run))
    heads = "program seconds threads wall-s cpu-s peak-MB wall-ratio cpu-ratio worst".split()
    print(table(heads, rows))
    print("Peak: the whole process, program and song included. Ratios: of the library's matrix.")
    print("Worst: the largest difference of a sample that went there and back.")
    if options.json:
        Path(options.json).write_text(json.dumps(records, indent=1))


def _row(
    name: str,
    seconds: float,
    threads: int,
    run: dict[str, float],
    theirs: dict[str, float] | None = None,
) -> list[str]:
    ratios = [f"{theirs[kind] / run[kind]:.1f}" if theirs else "" for kind in ("wall", "cpu")]
    return [
        name,
        f"{seconds:g}",
        f"{threads}",
        f"{run['wall']:.2f}",
        f"{run['cpu']:.2f}",
        f"{run['peak'] / 1e6:.0f}",
        *ratios,
        f"{run['worst']:.1e}",
    ]


if __name__ == "__main__":
    main()
