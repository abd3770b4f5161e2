"""Three hours of sound through every method that works in blocks, in under 2 GB."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sepbench import registry

from .trying import SCALE, SECONDS, Tally

pytestmark = pytest.mark.drill

MOST = 2e9
"""Bytes of resident memory that a process may come to, libraries and all."""

HOURS = 3.0

PROGRAM = """
import json, resource, sys, time
import numpy as np
import torch
from sepbench import registry
from sepbench.inference import runner

name, seconds, limit = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
torch.set_num_threads(1)
(method,) = registry.resolve(name)
separator, device = method.create(), torch.device("cpu")
runner.load(separator, device)
block = np.random.default_rng(0).normal(0, 0.1, (2, 10 * 44100)).astype(np.float32)


def song():
    began = time.monotonic()
    for number in range(round(seconds / 10)):
        if number > 18 and time.monotonic() - began > limit:
            return
        yield block.copy()


level = runner.song_level(separator, [block], 44100)
samples = 0
for stems in runner.stream(separator, song(), rate=44100, device=device, level=level):
    samples += next(iter(stems.values())).shape[1]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"peak": peak, "seconds": samples / 44100}))
"""


def in_blocks() -> list[str]:
    """Return the methods that need not see a whole song at once."""
    usable = [info.name for info in registry.plugins() if info.reason is None]
    methods = [method for name in usable for method in registry.resolve(name)]
    return [
        method.name
        for method in methods
        if method.declared.context is not None and not method.is_oracle and method.name != "chain"
    ]


def test_three_hours_through_every_method(tally: Tally) -> None:
    """Of each at least three minutes, and as much of three hours as there is time for."""
    names = in_blocks()
    for name in names:
        seconds = max(190.0, 3600 * HOURS * SCALE)
        words = [sys.executable, "-c", PROGRAM, name, str(seconds), str(SECONDS / len(names))]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            tally.note(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            continue
        found = json.loads(done.stdout)
        told = f"{name}: {found['peak'] / 1e9:.2f} GB in {found['seconds'] / 3600:.2f} hours"
        tally.note(None if found["peak"] < MOST else told)
