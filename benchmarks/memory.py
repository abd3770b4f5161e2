"""Measure how the memory of methods grows with the song, and what three hours would need.

python benchmarks/memory.py                                 every method, on 15 and 45 minutes
python benchmarks/memory.py hpss unet --seconds 1200 2400
python benchmarks/memory.py --json > memory.json

A song of the greater length is separated in a process of its own, with one thread, as ``sepbench
separate`` does: in pieces, stems let go as they come; its peak is read at both lengths. A process
grows in its first minutes whatever the method does (for unet, 5 and 15 minutes said 2.3 GB for
three hours, which really take 1.3), so both lengths are past these.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 44100
PIECE = 10
"""Seconds of the song that are given at a time."""

HOURS = 3.0


def song(seconds: int) -> Iterator[NDArray[np.float32]]:
    """Yield noise, two channels, piece by piece."""
    piece = np.random.default_rng(0).normal(0, 0.1, (2, PIECE * RATE)).astype(np.float32)
    for _ in range(seconds // PIECE):
        yield piece.copy()


def peaks(name: str, lengths: list[int]) -> Iterator[int]:
    """Yield the most memory, in bytes, that this process has had after so many seconds of a song.

    One song, as long as the last length, is separated.
    """
    import torch

    from sepbench import registry
    from sepbench.inference import runner, workers

    torch.set_num_threads(1)
    (method,) = registry.resolve(name)
    separator, device = method.create(), torch.device("cpu")
    workers.load(separator, device)
    level = runner.song_level(separator, song(PIECE), RATE)
    *earlier, last = lengths
    done = 0
    for stems in runner.stream(separator, song(last), rate=RATE, device=device, level=level):
        done += next(iter(stems.values())).shape[1]
        while earlier and done >= earlier[0] * RATE:
            earlier.pop(0)
            yield _peak()
    yield _peak()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(name: str, lengths: list[int]) -> dict[str, Any]:
    """Return the peaks of a method, its growth in a minute, and what three hours would need."""
    words = [sys.executable, __file__, name, "--peaks", *map(str, lengths)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        return {"method": name, "error": done.stderr.strip().splitlines()[-1]}
    found = [int(line) for line in done.stdout.split()]
    growth = max(0.0, (found[-1] - found[0]) / (lengths[-1] - lengths[0]))
    whole = found[-1] + growth * (3600 * HOURS - lengths[-1])
    return {"method": name, "peaks": found, "growth": 60 * growth, "three_hours": whole}


def methods(named: Sequence[str] = ()) -> dict[str, bool]:
    """Return whether methods run in blocks: all that can run here without the true stems, if none
    are named.
    """
    from sepbench import registry

    usable = named or [info.name for info in registry.plugins() if info.reason is None]
    declared = {name: registry.resolve(name)[0].declared for name in usable}
    return {
        name: facts.context is not None
        for name, facts in declared.items()
        if not facts.needs_references
    }


def main() -> None:
    """Print a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*")
    parser.add_argument("--seconds", type=int, nargs=2, default=[900, 2700])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peaks", type=int, nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peaks:
        for bytes_held in peaks(args.methods[0], args.peaks):
            print(bytes_held, flush=True)
        return
    first, last = args.seconds
    if not args.json:
        print(f"| method | works on | {first} s | {last} s | a minute more | 3 hours |")
        print("| --- | --- | --- | --- | --- | --- |")
    for name, in_blocks in methods(args.methods).items():
        row = {**measured(name, args.seconds), "in_blocks": in_blocks}
        if args.json:
            print(json.dumps(row), flush=True)
        elif "error" in row:
            print(f"| `{name}` | {row['error']} |", flush=True)
        else:
            low, high = (f"{one / 1e9:.2f} GB" for one in row["peaks"])
            works_on = "blocks" if row["in_blocks"] else "the whole song"
            growth, whole = row["growth"] / 1e6, row["three_hours"] / 1e9
            cells = (f"`{name}`", works_on, low, high, f"{growth:.0f} MB", f"{whole:.1f} GB")
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
