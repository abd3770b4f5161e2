"""Test songs for separators: four known stems, made from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from sepbench.datasets.simulated import STEMS, simulate

VOICE_BEGINS = 2.2
"""Start of the voice in the first song, in seconds."""

LONG = 4.0
"""Length in seconds from which a song is not cached."""

HALF = np.full((1, 1), 0.5, np.float32)


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
    """Return a song of the data set ``simulated`` from the first vocals on, at about -21 dBFS.

    One channel is the mean of both; more than two are panned from left to right.
    """
    places = np.linspace(0, 1, channels, dtype=np.float32)[:, None] if channels > 1 else HALF
    make = _stems if samples < LONG * rate else _stems.__wrapped__
    return Sound(
        {
            name: torch.from_numpy((1 - places) * left + places * right)
            for name, (left, right) in make(samples, rate, seed).items()
        },
        rate,
    )


@lru_cache(maxsize=16)
def _stems(samples: int, rate: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return stereo stems; those of short songs are cached."""
    start = round(VOICE_BEGINS * rate)
    made = simulate((0, 0, seed), (start + samples) / rate, rate=rate)
    return {name: stem[:, start:].copy() for name, stem in made.items()}


def silence(*, samples: int, rate: int, channels: int) -> Sound:
    """Return four silent stems."""
    return Sound({name: torch.zeros(channels, samples) for name in STEMS}, rate)


def decibels(signal: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the energy of a signal over that of a reference, in dB, not below -200."""
    energies = (float(part.detach().double().square().sum()) for part in (signal, reference))
    own, other = energies
    return 10 * float(np.log10(max(own, 1e-30) / max(other, 1e-30))) if own > 0 else -200.0
