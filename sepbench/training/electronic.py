"""Effects of electronic music on a voice: samplers and vocoders.

Both take mono float32 ``(samples,)`` and a random generator, and return the same number of
samples.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator
from scipy import ndimage

from sepbench.dsp.stft import Stft
from sepbench.training import augment
from sepbench.training.augment import Signal

_STFT = Stft(n_fft=512, hop=128)


def chop(voice: Signal, rng: Generator, rate: int) -> Signal:
    """Repeat a short loud piece in a rhythm, or stretch it, as a sampler does.

    The piece has 0.05 to 0.4 s. A stretched one sounds without a break, and the rhythm changes its
    level; a repeated one restarts with every stroke. Silence stays silence.
    """
    length = min(int(rng.uniform(0.05, 0.4) * rate), len(voice))
    piece = _loud_piece(voice, length, rng)
    step = int(rng.uniform(0.08, 0.2) * rate)  # sixteenths at 75 to 190 beats per minute
    strokes = _rhythm(rng, -(-len(voice) // step))
    if rng.random() < 0.5:
        held = augment.stretch(piece, length / len(voice), len(voice))
        softest = np.float32(max(0.0, rng.uniform(-0.3, 0.3)))
        return held * _gate(np.maximum(strokes, softest), step, len(voice), rng)
    return _repeated(piece, strokes, step, len(voice))


def _loud_piece(voice: Signal, length: int, rng: Generator) -> Signal:
    """Return a random one of the louder half of the pieces."""
    starts = np.arange(0, len(voice) - length + 1, max(1, length // 2))
    energies = np.array([np.dot(voice[at:][:length], voice[at:][:length]) for at in starts])
    start = int(rng.choice(starts[energies >= np.median(energies)]))
    piece = voice[start : start + length].copy()
    ramp = min(length // 4, 80)
    piece[:ramp] *= np.linspace(0, 1, ramp, dtype=np.float32)
    piece[length - ramp :] *= np.linspace(1, 0, ramp, dtype=np.float32)
    return piece


def _rhythm(rng: Generator, count: int) -> Signal:
    """Return the level of each step: a pattern of 4 to 16 steps, repeated."""
    pattern = rng.uniform(0.4, 1.0, int(rng.choice([4, 6, 8, 16])))
    pattern *= rng.random(len(pattern)) < rng.uniform(0.3, 0.9)
    pattern[0] = 1.0
    return np.resize(pattern, count).astype(np.float32)


def _gate(levels: Signal, step: int, samples: int, rng: Generator) -> Signal:
    ramp = int(rng.uniform(0.05, 1.0) * step) + 1
    curve = ndimage.uniform_filter1d(np.repeat(levels, step), ramp, mode="nearest")
    gate: Signal = curve[:samples]
    return gate


def _repeated(piece: Signal, strokes: Signal, step: int, samples: int) -> Signal:
    """Start the piece with each stroke; it overlaps with the end of the previous one."""
    out = np.zeros(samples + len(piece), np.float32)
    for index in np.flatnonzero(strokes):
        out[index * step : index * step + len(piece)] += strokes[index] * piece
    return out[:samples]


def vocode(voice: Signal, rng: Generator, rate: int) -> Signal:
    """Impose the spectrum of the voice on a chord of sawtooth waves or noise (Dudley 1939).

    The chord takes over the loudness of the voice in each band of 280 Hz; the pitch of the voice is
    lost. One to three notes between 70 and 400 Hz are kept for 0.3 to 3 s.
    """
    carrier = _chord(rng, rate, len(voice))
    carrier += np.float32(rng.choice([0.02, 0.1, 2.0], p=[0.5, 0.4, 0.1])) * rng.standard_normal(
        len(voice), dtype=np.float32
    )
    spectra = _STFT.forward(torch.from_numpy(np.stack([voice, carrier]))).numpy()
    width = max(1, round(280 * _STFT.n_fft / rate))
    power = np.square(np.abs(spectra))
    # A running mean may fall below zero by rounding.
    spoken, played = np.maximum(ndimage.uniform_filter1d(power, width, axis=1), 0)
    played_voice = spectra[1] * np.sqrt(spoken / (played + 1e-9 * played.max()))
    vocoded: Signal = _STFT.inverse(torch.from_numpy(played_voice), len(voice)).numpy()
    return vocoded


def _chord(rng: Generator, rate: int, samples: int) -> Signal:
    total = np.zeros(samples, np.float32)
    length = int(rng.uniform(0.3, 3.0) * rate)
    lowest = 70 * 2 ** rng.uniform(0, 2)
    for _ in range(int(rng.integers(1, 4))):
        steps = rng.choice([0, 0, 3, 4, 7, 12], -(-samples // length))
        pitch = np.repeat(lowest * 2 ** (steps / 12), length)[:samples]
        phase = np.cumsum(pitch / rate) + rng.random()
        total += (2 * (phase % 1) - 1).astype(np.float32)
    return total
