"""Distances between the magnitude spectrograms of references and estimates.

Frames are transformed a few at a time, so that they stay in the processor's cache, and only sums
are kept: memory does not grow with the length of the song. The estimates of a stem by all methods
are compared with their reference in one pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from sepbench.dsp.mel import MelBank

_CHUNK = {"cpu": 2**20, "cuda": 2**27}
"""Bytes of frames transformed at a time."""

_POWER_FLOOR = 1e-8
"""Minimum power of a bin in multi-resolution distances, as in auraloss."""

_WEIGHTING_TAPS = 101
_FILTER_BLOCK = 2**15

RESOLUTIONS = (256, 512, 1024, 2048, 4096)
"""Transform lengths of `multi_resolution`; hops are a quarter."""

MELS = 128


@dataclass(frozen=True)
class Distance:
    """Sums over a spectrogram from which multi-resolution distances are made.

    ``sums`` are, in order, over squared differences of magnitudes, squared magnitudes of the
    reference and of the estimate, and absolute differences of natural logarithms.

    Shape:
        sums: float64 ``(4, estimates, channels)``; ``bins`` counts the numbers of one channel.
    """

    sums: torch.Tensor
    bins: int

    def of(self, estimate: int) -> Distance:
        """Return the distance of one estimate, sums ``(4, channels)``."""
        return Distance(self.sums[:, estimate], self.bins)


def multi_resolution(
    reference: torch.Tensor,
    estimates: Sequence[torch.Tensor],
    rate: int,
    n_fft: int,
    *,
    mels: bool,
) -> tuple[Distance, Distance | None]:
    """Compare A-weighted spectrograms, linear in frequency and, with ``mels``, by mel bands too.

    Hann window, hop of a quarter, reflected edges, powers of at least 1e-8: the spectrograms of
    auraloss. Signals must be weighted already; see `weighted`.

    Shape:
        reference, and each of estimates: ``(channels, samples)``, padded by `weighted`.
    """
    channels = len(reference)
    bank = _mel_bank(MELS, n_fft, rate, reference.device) if mels else None
    sums = reference.new_zeros(2, 4, len(estimates), channels, dtype=torch.float64)
    margin = max(RESOLUTIONS) // 2 - n_fft // 2
    signals = torch.cat([reference, *estimates])[:, margin : reference.shape[1] - margin]
    window = torch.hann_window(n_fft, device=reference.device)
    frames = 0
    for powers in _powers(signals, n_fft, n_fft // 4, window):
        frames += powers.shape[1]
        linear = powers.clamp_min_(_POWER_FLOOR)
        magnitudes = linear.sqrt()
        _add(sums[0], magnitudes, channels)
        if bank is not None:
            _add(sums[1], bank(magnitudes), channels)
    found = [
        Distance(of_scale, bins=frames * bins)
        for of_scale, bins in zip(sums, (n_fft // 2 + 1, MELS), strict=True)
    ]
    return found[0], found[1] if mels else None


def weighted(signals: torch.Tensor, rate: int) -> torch.Tensor:
    """Weight signals by the A-curve and reflect their ends for the longest of `RESOLUTIONS`.

    The filter of 101 taps is fitted to the curve of IEC 61672 as auraloss fits it.

    Shape:
        signals: ``(channels, samples)``; returns: ``(channels, samples + 4096)``.
    """
    reach = max(RESOLUTIONS) // 2
    filtered = _convolved(signals, a_weighting(rate).to(signals))
    if signals.shape[-1] <= reach:
        # Too short for reflection at its ends: pad with silence.
        return torch.nn.functional.pad(filtered, (reach, reach))
    return torch.nn.functional.pad(filtered, (reach, reach), mode="reflect")


@lru_cache(maxsize=8)
def a_weighting(rate: int) -> torch.Tensor:
    """Return the taps of a linear-phase filter with the magnitude of the A-curve, ``(101,)``.

    The analogue curve goes through the bilinear transform; least squares fit the taps to its
    magnitude at 512 frequencies (Wright and Välimäki 2019, as auraloss does it).
    """
    import numpy as np
    from scipy import signal

    corners = 2 * np.pi * np.array([20.598997, 107.65265, 737.86223, 12194.217])
    gain = 10 ** (1.9997 / 20)
    poles = -np.repeat(corners, [2, 1, 1, 2])
    numerator, denominator = signal.zpk2tf(np.zeros(4), poles, gain * corners[-1] ** 2)
    digital = signal.bilinear(numerator, denominator, fs=rate)
    frequencies, response = signal.freqz(*digital, worN=512, fs=rate)
    taps = signal.firls(_WEIGHTING_TAPS, frequencies, np.abs(response), fs=rate)
    return torch.from_numpy(taps)


def level_difference(
    reference: torch.Tensor, estimates: Sequence[torch.Tensor], n_fft: int, hop: int
) -> torch.Tensor:
    """Return the mean absolute difference of magnitudes, float64 ``(estimates,)``.

    Rectangular window, reflected edges.

    Shape:
        reference, and each of estimates: ``(channels, samples)``.
    """
    channels = len(reference)
    signals = torch.cat([reference, *estimates])
    mode = "reflect" if signals.shape[-1] > n_fft // 2 else "constant"
    padded = torch.nn.functional.pad(signals, (n_fft // 2, n_fft // 2), mode=mode)
    total = reference.new_zeros(len(estimates), dtype=torch.float64)
    count = 0
    for powers in _powers(padded, n_fft, hop, None):
        magnitudes = powers.sqrt_()
        true = magnitudes[:channels]
        differences = magnitudes[channels:].view(-1, *true.shape) - true
        total += differences.abs_().sum((1, 2, 3))
        count += true.numel()
    return total / count


def mel_levels(
    signal: torch.Tensor, rate: int, n_fft: int, hop: int, mels: int, top: float
) -> torch.Tensor:
    """Return levels of mel bands in dB, at least ``top`` dB below the highest of all.

    Hann window, silence beyond the ends.

    Shape:
        signal: ``(channels, samples)``; returns: float32 ``(channels, frames, mels)``.
    """
    bank = _mel_bank(mels, n_fft, rate, signal.device)
    padded = torch.nn.functional.pad(signal, (n_fft // 2, n_fft // 2))
    window = torch.hann_window(n_fft, device=signal.device)
    bands = [bank(powers.sqrt_()) for powers in _powers(padded, n_fft, hop, window)]
    levels = torch.cat(bands, dim=1).clamp_min_(1e-10).log10_().mul_(20)
    return levels.clamp_min_(float(levels.max()) - top)


_mel_bank = lru_cache(maxsize=32)(MelBank)
"""Cached, so that each bank is computed once."""


def _powers(
    signals: torch.Tensor, n_fft: int, hop: int, window: torch.Tensor | None
) -> Iterator[torch.Tensor]:
    """Yield power spectra ``(signals, frames, bins)``, some frames at a time."""
    frames = signals.unfold(-1, n_fft, hop)
    size = _CHUNK.get(signals.device.type, _CHUNK["cpu"])
    step = max(1, size // (4 * n_fft * len(signals)))
    for first in range(0, frames.shape[1], step):
        part = frames[:, first : first + step]
        spectra = torch.fft.rfft(part if window is None else part * window)
        # The product with the conjugate is several times faster than the absolute value.
        yield (spectra * spectra.conj()).real.contiguous()


def _add(sums: torch.Tensor, magnitudes: torch.Tensor, channels: int) -> None:
    """Add the sums of `Distance` over some frames.

    Shape:
        sums: ``(4, estimates, channels)``; magnitudes: ``(channels + estimates * channels, ...)``.
    """
    true = magnitudes[:channels].flatten(1)
    made = magnitudes[channels:].reshape(-1, channels, true.shape[1])
    sums[0] += torch.linalg.vector_norm(made - true, dim=-1).square()
    sums[1] += torch.linalg.vector_norm(true, dim=-1).square()
    sums[2] += torch.linalg.vector_norm(made, dim=-1).square()
    sums[3] += (made / true).log_().abs_().sum(-1)


def _convolved(signals: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Filter signals ``(channels, samples)`` without delay."""
    reach = len(taps) // 2
    block = _FILTER_BLOCK - 2 * reach
    response = torch.fft.rfft(taps, n=_FILTER_BLOCK)
    blocks = -(-signals.shape[-1] // block)
    room = blocks * block - signals.shape[-1]
    padded = torch.nn.functional.pad(signals, (reach, reach + room))
    made = torch.empty_like(padded[:, : blocks * block])
    for number in range(blocks):
        start = number * block
        spectra = torch.fft.rfft(padded[:, start : start + _FILTER_BLOCK])
        filtered = torch.fft.irfft(spectra * response, n=_FILTER_BLOCK)
        made[:, start : start + block] = filtered[:, 2 * reach :]
    return made[:, : signals.shape[-1]]
