"""Compare windowed SDR with museval: speed, agreement and memory, in one run.

    python benchmarks/sdr.py [--seconds 60] [--json FILE] [--threads 1 2]

museval cannot compute SDR alone, so its time is that of all its scores.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from bsseval import NAMES, _audio, museval_run
from measure import Clock, in_own_process, share_of_peak, table
from songs import RATE


def sepbench_run(seconds: float, threads: int) -> dict[str, object]:
    """Score a first method of a track, including the mixture and the silences, and two more."""
    import torch

    from sepbench.metrics.scorer import TrackScorer

    torch.set_num_threads(threads)
    references, made = _audio(seconds, 4)
    mixture = torch.stack(list(references.values())).sum(0)
    targets = tuple(references)
    with share_of_peak() as peak:
        with Clock() as first:
            scorer = TrackScorer(references, mixture, RATE)
            scores = scorer.score(made, targets=targets)
        with Clock() as further:
            scorer.score(made, targets=targets)
    return {
        "first": first.spent,
        "further": further.spent,
        "peak": peak.bytes,
        "scores": [scores[stem].frames["SDR"] for stem in targets],
    }


def table_row(record: dict[str, Any], clock: str) -> list[str]:
    """Return the row of one comparison by ``cpu`` or ``wall`` time."""
    theirs, ours = record["museval"], record["sepbench"]
    museval, first, further = theirs["first"][clock], ours["first"][clock], ours["further"][clock]
    return [
        f"{record['seconds']:g} s x 4",
        f"{record['threads']}",
        clock,
        f"{museval:.1f}",
        f"{first:.3f}",
        f"{further:.3f}",
        f"{museval / first:.0f}",
        f"{museval / further:.0f}",
        f"{theirs['peak'] / 2**30:.2f}",
        f"{ours['peak'] / 2**30:.2f}",
        f"{record['worst']:.0e}",
        "equal" if record["masks"] else "DIFFER",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json")
    options = parser.parse_args()
    theirs = in_own_process(museval_run, options.seconds, 4)
    expected = np.array(theirs["scores"][NAMES.index("SDR")])
    rows, records = [], []
    for threads in options.threads:
        ours = in_own_process(sepbench_run, options.seconds, threads)
        found = np.array(ours["scores"])
        record = {
            "seconds": options.seconds,
            "threads": threads,
            "museval": {key: theirs[key] for key in ("first", "peak")},
            "sepbench": {key: ours[key] for key in ("first", "further", "peak")},
            "worst": float(np.nanmax(np.abs(found - expected))),
            "masks": bool((np.isnan(found) == np.isnan(expected)).all()),
        }
        records.append(record)
        rows += [table_row(record, clock) for clock in ("cpu", "wall")]
    heads = "signal threads clock museval first further ratio ratio GiB GiB worst-dB masks".split()
    print(table(heads, rows))
    print("Seconds; GiB beyond the audio itself, museval's and ours.")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(records, file, indent=1)


if __name__ == "__main__":
    main()
