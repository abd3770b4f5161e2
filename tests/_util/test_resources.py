from __future__ import annotations

import mmap
import time

import numpy as np
import torch

from sepbench._util.resources import ResourceUsage


def test_time_and_the_peak_of_memory_are_those_of_the_block() -> None:
    with ResourceUsage(torch.device("cpu")) as usage:
        # Pages of its own: an array may come to lie in what earlier tests have freed.
        with mmap.mmap(-1, 50_000_000) as block:
            block.write(bytes(1) * 50_000_000)
            time.sleep(0.1)
        time.sleep(0.05)
    assert 0.15 <= usage.seconds < 5
    assert 40e6 < usage.peak_bytes < 200e6


def test_memory_held_before_does_not_count() -> None:
    held = np.ones(100_000_000 // 8)
    with ResourceUsage(torch.device("cpu")) as usage:
        time.sleep(0.05)
    assert usage.peak_bytes < 20e6
    assert held.size
