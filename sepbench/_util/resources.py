"""Time and peak memory of a piece of work."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import psutil

from sepbench._util.allocator import trim_memory

if TYPE_CHECKING:
    import torch

_INTERVAL = 0.01


class ResourceUsage:
    """Measures wall-clock time and the growth of memory, at its peak, of a ``with`` block.

    On the CPU it samples the resident set of this process every 10 ms and subtracts its value at
    the start; on a CUDA device it takes the exact peak of torch's allocations.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self.peak_bytes = 0
        self._device = device
        self._process = psutil.Process()
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> ResourceUsage:
        trim_memory()
        self._before = self._process.memory_info().rss
        if self._device.type == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        if self._device.type == "cuda":
            import torch

            torch.cuda.synchronize(self._device)
            self.peak_bytes = torch.cuda.max_memory_allocated(self._device)
        self.seconds = time.perf_counter() - self._start
        if self._sampler.ident is not None:
            self._done.set()
            self._sampler.join()
        trim_memory()

    def _sample(self) -> None:
        while True:
            last = self._done.wait(_INTERVAL)
            grown = self._process.memory_info().rss - self._before
            self.peak_bytes = max(self.peak_bytes, grown)
            if last:
                return
