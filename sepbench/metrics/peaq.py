"""Two model output variables of PEAQ, basic version: modulation difference and distorted blocks.

ITU-R BS.1387-1, read with Kabal, "An Examination and Interpretation of ITU-R BS.1387: Perceptual
Evaluation of Audio Quality" (McGill University, 2002), whose names the comments give. The edges of
the quarter-Bark bands come from their formula, where the recommendation prints rounded ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch

RATE = 48000
"""Sample rate in Hz; the ear model is defined for no other."""

_LENGTH, _HOP = 2048, 1024
_FRAMES_PER_SECOND = RATE / _HOP
_LISTENING_LEVEL = 92.0
"""dB SPL of a full-scale sine."""

_BARK = 0.25
_LOWEST, _HIGHEST = 80.0, 18000.0
_PRINTED = {28: 933.113, 65: 3853.348, 70: 4643.482}
"""Upper edges in Hz as printed in the recommendation, which differ from the formula."""

_LEAST_ENERGY = 1e-12
_POWER_LAW = 0.4
_DELAY = 0.5
"""Seconds at the beginning that are left out of averages."""

_AUDIBLE = 200 / 32768
"""Sum of five magnitudes above which a signal has begun, and below which it has ended."""

_BLOCK = 256
"""Frames processed at a time."""


@dataclass(frozen=True)
class _Ear:
    """Constants of the ear model, float64.

    Shape:
        window: ``(2048,)``; bands: ``(1025, bands)``, with the weighting of outer and middle ear.
        the others: ``(bands,)``.
    """

    window: torch.Tensor
    bands: torch.Tensor
    noise: torch.Tensor
    upper: torch.Tensor
    lower: float
    lower_sum: torch.Tensor
    decay: torch.Tensor
    """Smoothing of the excitation in time, of the modulation and of the average, ``(3, bands)``."""


@lru_cache(maxsize=4)
def _ear(device: torch.device) -> _Ear:
    kilohertz = torch.arange(1, _LENGTH // 2 + 1, dtype=torch.float64) * RATE / _LENGTH / 1000
    decibels = -2.184 * kilohertz**-0.8 + 6.5 * torch.exp(-0.6 * (kilohertz - 3.3) ** 2)
    weights = 10 ** ((decibels - 0.001 * kilohertz**3.6) / 10)
    weights = torch.cat([weights.new_zeros(1), weights])
    low, centre, high = _edges()
    number = torch.arange(len(centre), dtype=torch.float64)
    lower = 10 ** (-2.7 * _BARK)
    ear = (
        torch.hann_window(_LENGTH, periodic=False, dtype=torch.float64) * _calibration(),
        weights[:, None] * _overlaps(low, high),
        10 ** (0.1456 * (centre / 1000) ** -0.8),
        10 ** ((-2.4 - 23 / centre) * _BARK),
        (1 - lower ** (number + 1)) / (1 - lower),
        torch.stack([_decay(centre, seconds) for seconds in (0.030, 0.050, 0.050)]),
    )
    window, bands, noise, upper, lower_sum, decay = (x.to(device) for x in ear)
    return _Ear(window, bands, noise, upper, lower, lower_sum, decay)


def two_variables(reference: torch.Tensor, estimate: torch.Tensor) -> tuple[float, float]:
    """Return AvgModDiff1 and ADB; NaN if no frame of the reference is audible.

    The first averages the channels; the second takes the channel with the larger difference in each
    band.

    Shape:
        reference, estimate: ``(channels, samples)`` at `RATE`, full scale 1.
    """
    first, frames = _audible(reference)
    if frames < 1:
        return math.nan, math.nan
    ear = _ear(reference.device)
    channels = len(reference)
    signals = torch.cat([reference, estimate]).double()
    room = (first + frames - 1) * _HOP + _LENGTH - signals.shape[-1]
    signals = torch.nn.functional.pad(signals, (0, max(0, room)))
    cut = signals.unfold(-1, _LENGTH, _HOP)[:, : first + frames]
    state = signals.new_zeros(3, 2 * channels, len(ear.noise))
    before = signals.new_zeros(2 * channels, len(ear.noise))
    kept: list[list[torch.Tensor]] = [[], [], [], []]
    for start in range(0, cut.shape[1], _BLOCK):
        spectra = torch.fft.rfft(cut[:, start : start + _BLOCK] * ear.window)
        energies = (spectra * spectra.conj()).real @ ear.bands
        spread = _spread(energies.clamp(min=_LEAST_ENERGY) + ear.noise, ear)
        excitation, modulation, average, state, before = _over_time(spread, ear, state, before)
        difference, weight = _modulation_difference(modulation, average[:channels], ear)
        probability, size = _detection(excitation)
        for known, new in zip(kept, (difference, weight, probability, size), strict=True):
            known.append(new)
    from_frame = max(first, math.ceil(_DELAY * _FRAMES_PER_SECOND))
    differences, weights = (torch.cat(x, dim=1)[:, from_frame:] for x in kept[:2])
    mean = math.nan  # If nothing is audible after the delay.
    if differences.shape[1]:
        mean = float(((differences * weights).sum(1) / weights.sum(1)).mean())
    probabilities, sizes = (torch.cat(x)[first:] for x in kept[2:])
    return mean, _distorted_blocks(probabilities, sizes)


def _edges() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return lower edge, centre and upper edge of each band in Hz (PQCB)."""
    lowest, highest = (7 * math.asinh(hz / 650) for hz in (_LOWEST, _HIGHEST))
    count = math.ceil((highest - lowest) / _BARK)
    low = lowest + _BARK * torch.arange(count, dtype=torch.float64)
    high = (low + _BARK).clamp(max=highest)
    low_hz, centre_hz, high_hz = (650 * torch.sinh(z / 7) for z in (low, (low + high) / 2, high))
    for band, hz in _PRINTED.items():
        high_hz[band] = hz
    return low_hz, centre_hz, high_hz


def _overlaps(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Return the share of each bin in each band, ``(bins, bands)`` (PQgroupCB)."""
    width = RATE / _LENGTH
    bins = torch.arange(_LENGTH // 2 + 1, dtype=torch.float64)[:, None]
    upper = torch.minimum(high, (bins + 0.5) * width)
    lower = torch.maximum(low, (bins - 0.5) * width)
    return ((upper - lower) / width).clamp(min=0)


def _calibration() -> float:
    """Return the gain by which a full-scale sine of 1019.5 Hz has the listening level (PQ_GL)."""
    frequency = 1019.5 / RATE
    below = math.floor(frequency * _LENGTH)
    offset = min((below + 1) / _LENGTH - frequency, frequency - below / _LENGTH) * (_LENGTH - 1)
    peak = math.sin(math.pi * offset) / (math.pi * offset * (1 - offset**2))
    gain: float = 10 ** (_LISTENING_LEVEL / 20) / (peak / 4 * (_LENGTH - 1))
    return gain


def _decay(centre: torch.Tensor, seconds: float) -> torch.Tensor:
    """Return the factor from frame to frame; ``seconds`` are the time constant at 100 Hz."""
    constant = 0.008 + 100 / centre * (seconds - 0.008)
    return torch.exp(-1 / (_FRAMES_PER_SECOND * constant))


def _spread(energies: torch.Tensor, ear: _Ear) -> torch.Tensor:
    """Spread energies ``(..., bands)`` over neighbouring bands (PQspreadCB)."""
    return _unnormalised(energies, ear) / _unnormalised(torch.ones_like(ear.noise), ear)


def _unnormalised(energies: torch.Tensor, ear: _Ear) -> torch.Tensor:
    bands = energies.shape[-1]
    slope = ear.upper * energies ** (0.2 * _BARK)
    above = torch.arange(bands, 0, -1, dtype=energies.dtype, device=energies.device)
    upper_sum = (1 - slope**above) / (1 - slope)
    own = (energies / (ear.lower_sum + upper_sum - 1)) ** _POWER_LAW
    spread = own.clone()
    for band in range(bands - 2, -1, -1):
        spread[..., band] += ear.lower**_POWER_LAW * spread[..., band + 1]
    # Each band has its own upward slope; all contributions are propagated together.
    slope, moving = slope**_POWER_LAW, own
    for step in range(1, bands):
        moving = moving[..., :-1] * slope[..., : bands - step]
        spread[..., step:] += moving
    return spread ** (1 / _POWER_LAW)


def _over_time(
    spread: torch.Tensor, ear: _Ear, state: torch.Tensor, before: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return excitation, modulation, average loudness, and the filter state for the next frames.

    PQ_timeSpread and PQmodPatt.

    Shape:
        spread, and the first three returned: ``(signals, frames, bands)``.
    """
    loudness = spread**0.3
    change = torch.cat([before[:, None], loudness], dim=1).diff(dim=1).abs() * _FRAMES_PER_SECOND
    driven = (1 - ear.decay)[:, None, None] * torch.stack([spread, change, loudness])
    decay = ear.decay[:, None]
    made = torch.empty_like(driven)
    for frame in range(spread.shape[1]):
        state = torch.addcmul(driven[:, :, frame], decay, state)
        made[:, :, frame] = state
    lingering, changing, average = made
    excitation = torch.maximum(lingering, spread)
    return excitation, changing / (1 + average / 0.3), average, state, loudness[:, -1]


def _modulation_difference(
    modulation: torch.Tensor, average: torch.Tensor, ear: _Ear
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the difference in percent and its weight, ``(channels, frames)`` (PQmovModDiffB)."""
    true, made = modulation.chunk(2)
    difference = 100 * ((true - made).abs() / (1 + true)).mean(-1)
    weight = (average / (average + 100 * ear.noise**0.3)).sum(-1)
    return difference, weight


def _detection(excitation: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probability that a difference is heard, and its size in steps (PQmovPD).

    Shape:
        returns: ``(frames,)``.
    """
    true, made = (10 * torch.log10(excitation)).chunk(2)
    difference = true - made
    level = torch.where(difference > 0, 0.3 * true + 0.7 * made, made)
    positive = level.clamp(min=1e-9)
    step = 5.95072 * (6.39468 / positive) ** 1.71332 - 0.198719 + 0.0550197 * positive
    step = step - 0.00102438 * positive**2 + 5.05622e-6 * positive**3 + 9.01033e-11 * positive**4
    step = torch.where(level > 0, step, 1e30)
    exponent = torch.where(difference > 0, 4.0, 6.0)
    audible = 1 - 0.5 ** ((difference.abs() / step) ** exponent)
    audible, sizes = audible.amax(0), (difference.abs().floor() / step).amax(0)
    return 1 - (1 - audible).prod(-1), sizes.sum(-1)


def _distorted_blocks(probabilities: torch.Tensor, sizes: torch.Tensor) -> float:
    """Return the log of the mean size of audible differences (ADB)."""
    audible = probabilities > 0.5
    if not audible.any():
        return 0.0
    size = float(sizes[audible].sum())
    return math.log10(size / int(audible.sum())) if size > 0 else -0.5


def _audible(reference: torch.Tensor) -> tuple[int, int]:
    """Return the first frame that counts and the number of frames (PQdataBoundary)."""
    if reference.shape[-1] < 5:
        return 0, 0
    sums = reference.abs().double().unfold(-1, 5, 1).sum(-1).amax(0)
    loud = (sums > _AUDIBLE).nonzero()[:, 0]
    if not len(loud):
        return 0, 0
    start, end = int(loud[0]), int(loud[-1]) + 4
    first = start // _HOP
    return first, (end + 1 - _LENGTH // 2) // _HOP - first + 1
