"""Detects changes of process settings and random generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from sepbench._util.process_state import settings


class SettingsSnapshot:
    """The settings of the process at one moment."""

    def __init__(self) -> None:
        self._before = settings()

    def changes(self) -> list[str]:
        """Return what has changed since, each as ``what: before -> now``."""
        now = settings()
        return [f"{k}: {v} -> {now[k]}" for k, v in self._before.items() if now[k] != v]


@contextmanager
def guarded_generators() -> Iterator[list[str]]:
    """Give a list of the global generators that were used or seeded in the block.

    They start in an unlikely state, and are restored afterwards.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    cuda = _cuda_generators()
    used: list[str] = []
    try:
        random.seed(982_451_653)
        np.random.seed(982_451_653)  # noqa: NPY002
        torch.manual_seed(982_451_653)
        start = _generators()
        yield used
        end = _generators()
        used += [name for name in end if name not in start or start[name] != end[name]]
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


def _generators() -> dict[str, Any]:
    states = {
        "random": random.getstate(),
        "numpy.random": str(np.random.get_state(legacy=False)),  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
    }
    if cuda := _cuda_generators():
        states["torch.cuda"] = [state.tolist() for state in cuda]
    return states


def _cuda_generators() -> list[torch.Tensor]:
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.get_rng_state_all() if in_use else []
