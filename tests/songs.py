"""Small songs whose parts are known, made from a seed."""

from __future__ import annotations

import torch

RATE = 44100


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


BAR = 48 * 1024
"""Samples of a bar: a little over a second, and a multiple of the usual hops."""


def repeating_song(seconds: float) -> dict[str, torch.Tensor]:
    """Four stereo stems: a bar that repeats exactly under a voice that never does."""
    samples = round(seconds * RATE)
    time = torch.arange(BAR) / RATE

    def tones(*frequencies: float) -> torch.Tensor:
        fade = torch.exp(-3 * (time % 0.25))
        return sum(torch.sin(2 * torch.pi * f * time) for f in frequencies) * fade

    beats = noise(BAR) * torch.exp(-30 * (time % 0.5))
    chords = torch.where(time < 0.5, tones(220, 277, 330), tones(196, 247, 294))
    parts = {"drums": 0.2 * beats, "bass": 0.2 * tones(55, 110), "other": 0.1 * chords}
    pans = {"drums": (1.0, 0.9), "bass": (1.0, 1.0), "other": (0.4, 1.0)}
    stems = {
        name: torch.stack([pan * part for pan in pans[name]]).repeat(1, -(-samples // BAR))
        for name, part in parts.items()
    }
    moment = torch.arange(samples) / RATE
    pitch = 400 + 150 * torch.sin(2 * torch.pi * 0.37 * moment) + 60 * torch.sin(7 * moment)
    phase = 2 * torch.pi * torch.cumsum(pitch.double() / RATE, 0)
    voice = sum(torch.sin(k * phase).float() / k for k in range(1, 8))
    voice = 0.1 * voice * (torch.sin(2 * torch.pi * 0.9 * moment) > -0.5)
    return {
        "vocals": torch.stack([voice, voice]),
        **{name: stem[:, :samples] for name, stem in stems.items()},
    }


def sdr(reference: torch.Tensor, estimate: torch.Tensor) -> float:
    """Energy of the reference over that of the error, in dB."""
    error = (reference - estimate).double().square().sum()
    return float(10 * torch.log10(reference.double().square().sum() / error))
