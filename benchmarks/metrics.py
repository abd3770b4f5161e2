"""Measure time and memory of each metric for the first method of a track, and for a further one.

    python benchmarks/metrics.py [--seconds 60] [--stems 4] [--metrics NAME ...]

The first method includes the work that depends only on the references. Times are CPU seconds of one
thread; memory is what is needed beyond the audio itself.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import sys

import torch
from measure import Clock, share_of_peak, table
from songs import RATE, STEMS, separated, song

HEADS = ["metric", "first, s", "further, s", "MB"]


def row(name: str, references: dict, made: dict) -> list[str]:
    """Score a method twice with one metric."""
    from sepbench.metrics.scorer import TrackScorer
    from sepbench.registry.metrics import resolve_metrics

    mixture, targets = torch.stack(list(references.values())).sum(0), tuple(references)
    chosen = resolve_metrics([name])
    _let_go()
    with share_of_peak() as peak:
        with Clock() as first:
            scorer = TrackScorer(references, mixture, RATE, metrics=chosen)
            scorer.score(made, targets=targets)
        with Clock() as further:
            scorer.score(made, targets=targets)
    costs = [f"{clock.spent['cpu']:.2f}" for clock in (first, further)]
    return [name, *costs, f"{peak.bytes / 1e6:.0f}"]


def _let_go() -> None:
    """Return free memory to the system, on systems where that is possible.

    Memory that an earlier metric left free would not count in the peak of this one.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def main() -> None:
    """Print the table."""
    from sepbench.registry.metrics import metrics

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--stems", type=int, default=4)
    parser.add_argument("--metrics", nargs="*", help="By default all that are installed.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = given.metrics or [info.name for info in metrics() if info.reason is None]
    for name in names:  # Import libraries and make tables before measuring.
        short = {stem: wave for stem, wave in song(2.0).items() if stem in STEMS[: given.stems]}
        row(name, short, separated(short))
    references = {
        stem: wave for stem, wave in song(given.seconds).items() if stem in STEMS[: given.stems]
    }
    made = separated(references)
    rows = []
    for name in names:
        rows.append(row(name, references, made))
        print(*rows[-1], sep="  ", flush=True)
    print(
        f"{given.seconds:g} s, {given.stems} stereo stems; seconds of the processor; peak of memory"
    )
    print(table(HEADS, rows))


if __name__ == "__main__":
    main()
