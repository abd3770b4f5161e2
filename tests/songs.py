"""Noise, tones and small songs for all tests: made from a seed, written as files, measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from sepbench import audio

RATE = 44100

Samples = NDArray[np.float32]
"""Float32 ``(channels, samples)``."""


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Normal noise of standard deviation 1."""
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def white(
    channels: int, samples: int, *, seed: int | Sequence[int] = 0, peak: float = 0.5
) -> Samples:
    """Uniform noise that 16 bits hold exactly."""
    most = round(peak * 32768)
    drawn = np.random.default_rng(seed).integers(-most, most, (channels, samples))
    return (drawn / 32768).astype(np.float32)


def tone(
    hertz: float | Sequence[float],
    seconds: float = 1.0,
    rate: int = RATE,
    *,
    channels: int = 1,
    level: float | Sequence[float] = 0.3,
) -> Samples:
    """Sines: one for all channels, or one for each of ``hertz``; ``level`` likewise."""
    time = np.arange(round(seconds * rate)) / rate
    made = np.reshape(level, (-1, 1)) * np.sin(2 * np.pi * np.reshape(hertz, (-1, 1)) * time)
    return np.broadcast_to(made, (max(channels, len(made)), len(time))).astype(np.float32)


def harmonics(lowest: float, channels: int, seconds: float = 1.0, rate: int = RATE) -> Samples:
    """A tone of ``lowest`` Hz in channel 0, twice that in channel 1, and so on."""
    return tone([lowest * (1 + channel) for channel in range(channels)], seconds, rate)


def clicks(seconds: float, rate: int = RATE, channels: int = 1) -> Samples:
    """Clicks four times a second: a codec's frames before and after one differ much."""
    samples = np.zeros((channels, round(seconds * rate)), np.float32)
    samples[:, :: rate // 4] = 0.9
    return samples


def loudest(samples: Samples, rate: int, step: int) -> list[int]:
    """The loudest frequency of each channel in Hz, rounded to ``step``."""
    start = samples[:, : rate // 10 * 10]
    peaks = np.abs(np.fft.rfft(start, axis=1)).argmax(axis=1) * rate / start.shape[1]
    return [int(step * round(peak / step)) for peak in peaks]


def write(path: Path | str, samples: Samples, rate: int = RATE, **how: Any) -> Path:
    """Write ``(channels, samples)`` as `soundfile` does, and the folders above."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(os.fsencode(path), samples.T, rate, **how)  # The name need not be UTF-8.
    return path


def tone_file(
    path: Path | str, *, level: float = 0.5, seconds: float = 1.0, rate: int = 8000
) -> Path:
    """Write a stereo tone, its right channel at half the level, as WAV whatever the name says."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        played = tone(440, seconds, rate, level=(level, level / 2))
        soundfile.write(file, played.T, rate, "FLOAT", format="WAV")
    return path


def encode(
    path: Path, samples: Samples, codec: str = "aac", *, rate: int = RATE, **options: str
) -> Path:
    """Write one stream of mono or stereo sound by libav."""
    layout = ("mono", "stereo")[len(samples) - 1]
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout=layout
        )
        frame.rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


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


def write_in_blocks(
    path: Path, samples: NDArray[np.float32], rate: int = RATE, **how: object
) -> NDArray[np.float32]:
    """Write a file in blocks; return what is read of it."""
    with audio.Writer(path, rate, len(samples), **how) as writer:  # type: ignore[arg-type]
        for start in range(0, samples.shape[1], 30_000):
            writer.write(samples[:, start : start + 30_000])
    return audio.read(path).samples
