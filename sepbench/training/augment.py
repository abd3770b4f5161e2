"""Audio effects of a music production, fast enough to be applied to every example.

Every function takes mono float32 ``(samples,)`` and a random generator, and returns the same number
of samples.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft, ndimage

Signal = NDArray[np.float32]

INAUDIBLE = 1e-3
"""RMS below which a signal counts as silent, -60 dB; the dither of 16 bits has -92 dB."""

_RMS_BLOCK = 1600
"""Samples of a block of `active_rms`: 0.1 s at 16 kHz."""


def rms(signal: Signal) -> float:
    """Return the root mean square of the samples."""
    return float(np.sqrt(np.dot(signal, signal) / max(len(signal), 1)))


def active_rms(signal: Signal) -> float:
    """Return the RMS over the blocks that are within 30 dB of the loudest; silence is left out."""
    count = len(signal) // _RMS_BLOCK
    if count < 2:
        return rms(signal)
    energy = np.square(signal[: count * _RMS_BLOCK].reshape(count, _RMS_BLOCK)).mean(1)
    loud = energy[energy > 1e-3 * energy.max()]
    return float(np.sqrt(loud.mean())) if len(loud) else 0.0


def varispeed(signal: Signal, ratio: float, samples: int) -> Signal:
    """Play ``ratio`` times faster, which raises the pitch by as much; return ``samples`` of it.

    Raises `ValueError` if the signal is shorter than ``ratio * samples``.
    """
    if ratio != 1.0:
        signal = soxr.resample(signal, ratio, 1.0, quality="LQ").astype(np.float32, copy=False)
    if len(signal) < samples - 8:
        raise ValueError(f"{len(signal)} samples are too few for {samples} at ratio {ratio}")
    return np.pad(signal[:samples], (0, max(0, samples - len(signal))))


def stretch(signal: Signal, ratio: float, samples: int) -> Signal:
    """Play ``ratio`` times faster at the same pitch; return ``samples`` of it.

    Pieces of 1024 samples overlap by half, each at the position that best continues the one before
    (waveform similarity overlap-add, Verhelst and Roelands 1993). Raises `ValueError` if the
    signal is shorter than ``ratio * samples``.
    """
    if len(signal) < int(ratio * samples):
        raise ValueError(f"{len(signal)} samples are too few for {samples} at ratio {ratio}")
    hop, reach = 512, 256
    window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(np.float32) ** 2
    padded = np.pad(signal, (hop + reach, 4 * hop + 2 * reach))
    out = np.zeros(samples + 3 * hop, np.float32)
    start = reach
    for at in range(0, samples + hop, hop):
        if at:
            first = min(int(at * ratio), len(padded) - 4 * hop - 2 * reach)
            around = padded[first : first + 2 * (hop + reach)]
            start = first + int(np.correlate(around, padded[start + hop :][: 2 * hop]).argmax())
        out[at : at + 2 * hop] += window * padded[start : start + 2 * hop]
    return out[hop : hop + samples]


def saturate(signal: Signal, rng: Generator) -> Signal:
    """Apply a soft clipper, driven 3 to 18 dB over the RMS, with some asymmetry."""
    drive = 10 ** (rng.uniform(-6, 12) / 20) / (rms(signal) * 4 + 1e-6)
    bias = np.float32(rng.uniform(-0.2, 0.2))
    driven = np.tanh(signal * np.float32(drive) + bias)
    out = driven - driven.mean()
    wet = np.float32(rng.uniform(0.3, 1.0))
    dry = signal * np.float32(drive)
    mixed: Signal = (wet * out + (1 - wet) * dry) / np.float32(drive)
    return mixed


def compress(signal: Signal, rng: Generator, rate: int) -> Signal:
    """Compress with a ratio of 2 to 8 above a threshold near the RMS."""
    step = rate // 100
    count = -(-len(signal) // step)
    blocks = np.pad(signal, (0, count * step - len(signal))).reshape(count, step)
    level = np.sqrt(np.square(blocks).mean(1) + 1e-10)
    level = ndimage.uniform_filter1d(ndimage.maximum_filter1d(level, 3), int(rng.integers(3, 25)))
    threshold = (rms(signal) + 1e-6) * 10 ** (rng.uniform(-12, 3) / 20)
    ratio = rng.uniform(2, 8)
    gain = np.maximum(level / threshold, 1.0) ** (1 / ratio - 1)
    points = (np.arange(count) + 0.5) * step
    curve = np.interp(np.arange(len(signal)), points, gain).astype(np.float32)
    out: Signal = signal * curve
    return out


def shape(signal: Signal, rng: Generator, rate: int, *, room: float, colour: float) -> Signal:
    """Apply an equaliser and reverberation, each with a probability, in one convolution.

    The equaliser is a smooth random curve of up to 9 dB, sometimes with a low cut; the
    reverberation is decaying noise of 0.15 to 2.5 s with a pre-delay, in which high frequencies
    decay faster.
    """
    in_room, coloured = rng.random() < room, rng.random() < colour
    if not (in_room or coloured):
        return signal
    tail = int(rate * 1.5) if in_room else 2048
    size = fft.next_fast_len(len(signal) + tail, real=True)
    spectrum = fft.rfft(signal, size)
    if in_room:
        spectrum *= fft.rfft(_room(rng, rate, tail), size)
    if coloured:
        spectrum *= _curve(rng, rate, len(spectrum))
    shaped: Signal = fft.irfft(spectrum, size)[: len(signal)].astype(np.float32, copy=False)
    return shaped


def _room(rng: Generator, rate: int, length: int) -> Signal:
    decay = np.exp(rng.uniform(np.log(0.15), np.log(2.5)))  # seconds to -60 dB
    time = np.arange(length, dtype=np.float32) / np.float32(rate)
    noise = rng.standard_normal(length, dtype=np.float32)
    smooth = ndimage.uniform_filter1d(noise, int(rng.integers(2, 6)))
    # As in real rooms, high frequencies decay twice as fast.
    tail = noise * np.exp(-13.8 / decay * time) + smooth * np.exp(-6.9 / decay * time)
    delay = int(rng.uniform(0, 0.06) * rate)
    response = np.zeros(length, np.float32)
    response[delay:] = tail[: length - delay]
    wet = 10 ** (rng.uniform(-24, -4) / 20)
    response *= np.float32(wet / (np.sqrt(np.square(response).sum()) + 1e-9))
    if rng.random() < 0.2:  # an echo with an arbitrary delay
        at = int(rng.uniform(0.08, 0.5) * rate)
        response[at] += np.float32(10 ** (rng.uniform(-20, -8) / 20))
    response[0] += 1
    return response


def _curve(rng: Generator, rate: int, bins: int) -> Signal:
    points = 7
    octaves = np.linspace(np.log2(60), np.log2(rate / 2), points)
    levels = rng.uniform(-6, 6, points) + rng.uniform(-3, 3) * np.linspace(-1, 1, points)
    frequencies = np.linspace(0, rate / 2, bins, dtype=np.float32)
    coarse = np.linspace(0, rate / 2, 1025)
    level = np.interp(np.log2(coarse + 1), octaves, levels)
    if rng.random() < 0.4:  # a low cut of 12 dB an octave
        cut = np.exp(rng.uniform(np.log(60), np.log(250)))
        level -= 10 * np.log10(1 + (cut / (coarse + 1)) ** 4)
    return np.interp(frequencies, coarse, 10 ** (level / 20)).astype(np.float32)


def fade(signal: Signal, rng: Generator, rate: int) -> Signal:
    """Fade in or out at a random position, over 0.05 to 2 s, with silence before or after.

    A fade takes half of the signal at most, so that some of it stays audible.
    """
    length = min(int(rng.uniform(0.05, 2.0) * rate), len(signal) // 2)
    middle = int(rng.integers(length, max(length + 1, len(signal) - length)))
    ramp = np.clip((np.arange(len(signal)) - middle) / length, 0, 1).astype(np.float32)
    faded: Signal = signal * (ramp if rng.random() < 0.5 else 1 - ramp)
    return faded
