"""Compare methods, BSSEval and training on CPU and CUDA, in one run of a few minutes.

    python benchmarks/gpu.py [--seconds 240] [--device cuda] [--methods NAME ...] [--json FILE]

Each method separates a song on both devices, after one second of it as a warm-up. The table has the
seconds of audio per second of computing, the largest difference of a sample, and the peak of memory
on the device. Each network is trained with its own default config on a batch of noise. ``--device
meta`` tries the script without a GPU: it fills only the column of the CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from measure import table
from songs import RATE, separated, song

METHODS = ("hpss", "repet-sim", "mask-cnn", "unet", "unet-stereo", "cdae", "blstm", "ibm-cnn")
TRAINED = ("mask-cnn", "unet", "unet-stereo", "cdae", "blstm")
STEPS = 20
HEADS = ("what", "cpu", "device", "difference", "MB")


def seconds_of(work: Any, device: torch.device) -> tuple[Any, float]:
    """Return the result of a function, and the seconds until the device is done."""
    _wait(device)
    start = time.perf_counter()
    made = work()
    _wait(device)
    return made, time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def method_row(name: str, mixture: torch.Tensor, device: torch.device) -> dict[str, Any]:
    """Separate a song on the CPU and on the device."""
    from sepbench import registry
    from sepbench.inference import runner
    from sepbench.inference.workers import warm_up

    samples = mixture.numpy()
    found: dict[str, Any] = {"what": name}
    made = {}
    for where in devices(device):
        (method,) = registry.resolve(name)
        separator = method.create()
        runner.load(separator, where)
        warm_up(separator, samples[:, :RATE], rate=RATE, device=where)
        if where.type == "cuda":
            torch.cuda.reset_peak_memory_stats(where)
        done, spent = seconds_of(
            lambda one=separator, at=where: runner.separate(one, samples, rate=RATE, device=at),
            where,
        )
        made[where.type] = done.stems
        found["cpu" if where.type == "cpu" else "device"] = samples.shape[1] / RATE / spent
        if where.type == "cuda":
            found["MB"] = torch.cuda.max_memory_allocated(where) / 1e6
    if len(made) == 2:
        here, there = made.values()
        found["difference"] = max(float(abs(here[s] - there[s]).max()) for s in here)
    return found


def bsseval_row(seconds: float, device: torch.device) -> dict[str, Any]:
    """Score a song with BSSEval on the CPU and on the device."""
    from sepbench.metrics.scorer import TrackScorer
    from sepbench.registry.metrics import resolve_metrics

    references = song(seconds)
    made, mixture = separated(references), torch.stack(list(references.values())).sum(0)
    targets = tuple(references)
    found: dict[str, Any] = {"what": "bsseval"}
    frames = {}
    for where in devices(device):

        def score(at: torch.device = where) -> Any:
            chosen = resolve_metrics(["bsseval"])
            scorer = TrackScorer(references, mixture, RATE, metrics=chosen, device=at)
            return scorer.score(made, targets=targets)

        scores, spent = seconds_of(score, where)
        found["cpu" if where.type == "cpu" else "device"] = seconds / spent
        names = ("SDR", "ISR", "SIR", "SAR")
        frames[where.type] = torch.tensor([[scores[s].frames[n] for n in names] for s in targets])
    if len(frames) == 2:
        here, there = frames.values()
        found["difference"] = float((here - there).nan_to_num(0.0).abs().max())
    return found


def training_row(name: str, device: torch.device) -> dict[str, Any]:
    """Run training steps on the CPU and on the device, and return the steps per second."""
    from importlib import import_module

    from sepbench import registry
    from sepbench.training.config import read_config
    from sepbench.training.loop import Run

    settings = read_config(name, "default")
    module, _, kind = registry.resolve(name)[0].separator.trainable.partition(":")
    trainable = getattr(import_module(module), kind)(settings.model)
    generator = torch.Generator().manual_seed(0)
    shape = settings.training.batch_size, round(settings.examples.seconds * trainable.rate)
    stems = {stem: 0.1 * torch.randn(shape, generator=generator) for stem in trainable.stems}
    stems["known"] = torch.ones(shape[0], len(trainable.stems))  # For methods that use it.
    found: dict[str, Any] = {"what": f"train {name}, steps"}
    losses = []
    for where in devices(device):
        run = Run(trainable, settings.training, Path(), where)
        losses.append(run.step(stems, 1e-4)["loss"])
        count = STEPS if where.type == "cuda" else 1
        _, spent = seconds_of(lambda: [run.step(stems, 1e-4) for _ in range(count)], where)  # noqa: B023
        found["cpu" if where.type == "cpu" else "device"] = count / spent
        if where.type == "cuda":
            found["MB"] = torch.cuda.max_memory_allocated(where) / 1e6
    if len(losses) == 2:
        found["difference"] = abs(losses[0] - losses[1])
    return found


def devices(device: torch.device) -> list[torch.device]:
    """Return the CPU, and the other device unless it is only for trying the script."""
    cpu = torch.device("cpu")
    return [cpu] if device.type in ("meta", "cpu") else [cpu, device]


def main() -> None:
    """Print the table, one line as soon as it is ready."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or meta for a trial.")
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--trained", nargs="*", default=TRAINED)
    parser.add_argument("--json", type=Path, help="Write the rows to this file too.")
    given = parser.parse_args()
    device = torch.device(given.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    mixture = torch.stack(list(song(given.seconds).values())).sum(0)
    jobs = [(method_row, name, mixture) for name in given.methods]
    jobs += [(bsseval_row, given.seconds)]
    jobs += [(training_row, name) for name in given.trained]
    rows = []
    for job, *about in jobs:
        rows.append(job(*about, device))
        cells = [rows[-1].get(head) for head in HEADS]
        print(*(c if isinstance(c, str) else _number(c) for c in cells), sep="  ", flush=True)
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1))
    shown = [[row["what"], *(_number(row.get(head)) for head in HEADS[1:])] for row in rows]
    print(table(HEADS, shown))
    print("Times real time, or steps a second; difference of samples, scores in dB, or losses.")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    main()
