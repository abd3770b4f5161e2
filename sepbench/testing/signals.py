"""Short songs for looking at separators: four stems that are known, made from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

BEAT = 0.5
"""Seconds."""


@dataclass(frozen=True)
class Sound:
    """The stems of a song, each float32 ``(channels, samples)``, and their rate in Hz."""

    stems: dict[str, torch.Tensor]
    rate: int

    @cached_property
    def mixture(self) -> torch.Tensor:
        """The sum of the stems."""
        return torch.stack(list(self.stems.values())).sum(0)

    def times(self, gain: float) -> Sound:
        """Return the same song at another level."""
        return Sound({name: stem * gain for name, stem in self.stems.items()}, self.rate)

    def to(self, device: torch.device) -> Sound:
        """Return the same song on a device."""
        return Sound({name: stem.to(device) for name, stem in self.stems.items()}, self.rate)


def song(*, samples: int, rate: int, channels: int, seed: int = 0) -> Sound:
    """Return beats, a bass and chords that repeat under a voice that glides; about -20 dBFS."""
    generator = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    tune = 2.0 ** (generator.integers(-5, 6) / 12)
    decay = np.exp(-8.0 * (time % BEAT))
    moving = 300 * tune + 90 * np.sin(2 * np.pi * 0.31 * time) + 8 * np.sin(2 * np.pi * 5.5 * time)
    phase = 2 * np.pi * np.cumsum(moving) / rate
    sung = np.sin(2 * np.pi * 0.45 * time + 0.5) > -0.5
    lines: dict[str, Any] = {
        "vocals": sung * sum(np.sin(k * phase) / k for k in range(1, 9)),
        "drums": generator.standard_normal(samples) * np.exp(-40.0 * (time % BEAT)),
        "bass": np.sin(2 * np.pi * 55 * tune * time) * decay,
        "other": sum(np.sin(2 * np.pi * f * tune * time) for f in (220.0, 277.2, 329.6)) / 3,
    }
    pans = {"vocals": 0.0, "drums": -0.2, "bass": 0.0, "other": 0.6}
    places = np.linspace(-1.0, 1.0, channels)[:, None] if channels > 1 else np.zeros((1, 1))
    return Sound(
        {
            name: torch.from_numpy(
                (0.1 * (1 + pans[name] * places) * line[None]).astype(np.float32)
            )
            for name, line in lines.items()
        },
        rate,
    )


def silence(*, samples: int, rate: int, channels: int) -> Sound:
    """Return four silent stems."""
    names = ("vocals", "drums", "bass", "other")
    return Sound({name: torch.zeros(channels, samples) for name in names}, rate)


def decibels(signal: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the energy of a signal over that of a reference, in dB, not below -200."""
    energies = (float(part.detach().double().square().sum()) for part in (signal, reference))
    own, other = energies
    return 10 * float(np.log10(max(own, 1e-30) / max(other, 1e-30))) if own > 0 else -200.0
