"""Measure what methods cost on the same song, one after another, each in a process of its own.

    python benchmarks/speed.py                        Spleeter and the methods with trained weights
    python benchmarks/speed.py unet hpss --seconds 60 --threads 2

The last column compares CPU times with that of the first method. Programs keep freed memory, as the
commands of sepbench do.
"""

from __future__ import annotations

import argparse
import json

import psutil
import torch
from compare import mixture
from measure import Clock, in_own_process, share_of_peak
from songs import RATE

METHODS = ("spleeter", "mask-cnn", "blstm", "unet", "unet-stereo", "cdae", "ensemble")


def cost(method: str, seconds: float, threads: int) -> dict[str, float]:
    """Return the seconds and the peak of memory of a method, after a short song that warms up."""
    from sepbench import registry
    from sepbench.inference import runner, workers

    torch.set_num_threads(threads)
    device = torch.device("cpu")
    (found,) = registry.resolve(method)
    separator = found.create()
    workers.load(separator, device)
    runner.separate(separator, mixture(3.0).numpy(), rate=RATE, device=device)
    given = mixture(seconds).numpy()
    before = psutil.Process().memory_info().rss
    with share_of_peak() as peak, Clock() as clock:
        runner.separate(separator, given, rate=RATE, device=device)
    return {**clock.spent, "peak": before + peak.bytes}


def main() -> None:
    """Print a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not args.json:
        print("| method | CPU, s | wall, s | times real time | peak, GB | CPU, relative |")
        print("| --- | --- | --- | --- | --- | --- |")
    first = None
    for name in args.methods:
        run = in_own_process(cost, name, args.seconds, args.threads)
        first = first or run["cpu"]
        if args.json:
            print(json.dumps({"method": name, "seconds": args.seconds, **run}), flush=True)
            continue
        cells = (f"`{name}`", f"{run['cpu']:.1f}", f"{run['wall']:.1f}")
        speed, relative = args.seconds / run["wall"], run["cpu"] / first
        more = (f"{speed:.0f}", f"{run['peak'] / 1e9:.2f}", f"{relative:.2f}")
        print(f"| {' | '.join(cells + more)} |", flush=True)


if __name__ == "__main__":
    main()
