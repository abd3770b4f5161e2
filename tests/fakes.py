"""Separators that misbehave in every way, importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

import torch

from sepbench.separator import Separator


class Calm(Separator):
    """Half of the mixture for the voice, the rest for the others."""

    name = "calm"
    summary = "For tests."
    stems: tuple[str, ...] = ("vocals", "accompaniment")
    remainder = "accompaniment"
    license = "MIT"
    citation = "none"
    context = 0.0

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": mixture / 2}


class Raising(Calm):
    name = "raising"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        raise ValueError("no luck today")


class Empty(Calm):
    name = "empty"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": mixture * float("nan")}


class Hungry(Calm):
    name = "hungry"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": torch.empty(1 << 45)}


class Crashing(Calm):
    name = "crashing"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("not reached")


class Endless(Calm):
    name = "endless"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        time.sleep(3600)
        raise AssertionError("not reached")


class Unloadable(Calm):
    name = "unloadable"

    def load(self, device: torch.device) -> None:
        raise OSError("its weights are not where they were")
