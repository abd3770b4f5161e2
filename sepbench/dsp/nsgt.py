"""Nonstationary Gabor transform: bands of any widths, real signals, exact reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sepbench.dsp.bands import BandPlan, Integers, Layout, Weights

Frequencies: TypeAlias = NDArray[np.float64]

_SHORTEST = 4  # bins
_LEAST_COVER = 1e-8  # least sum of squared windows in a bin: below it, float64 does not reconstruct


def linear(low: float, high: float, bands: int) -> Frequencies:
    """Return ``bands`` frequencies from ``low`` to ``high`` Hz at equal distances."""
    return np.linspace(low, high, bands)


def log(low: float, high: float, bands: int) -> Frequencies:
    """Return ``bands`` frequencies from ``low`` to ``high`` Hz at equal ratios: constant Q."""
    return np.geomspace(low, high, bands)


def octave(low: float, high: float, per_octave: int) -> Frequencies:
    """Return the frequencies from ``low`` to ``high`` Hz, ``per_octave`` to each octave.

    If the range is not a whole number of steps, the steps are slightly smaller and end at ``high``,
    as in the package ``nsgt`` (``OctScale``).
    """
    octaves = per_octave * np.log2(high / low)
    if abs(octaves - round(octaves)) < 1e-9:
        return low * np.exp2(np.arange(round(octaves) + 1) / per_octave)
    return np.geomspace(low, high, int(np.ceil(octaves)) + 1)


def mel(low: float, high: float, bands: int) -> Frequencies:
    """Return ``bands`` frequencies from ``low`` to ``high`` Hz at equal distances in mel."""
    return _warped(low, high, bands, lambda f: np.log1p(f / 700), lambda m: 700 * np.expm1(m))


def bark(low: float, high: float, bands: int) -> Frequencies:
    """Return ``bands`` frequencies from ``low`` to ``high`` Hz at equal distances in Bark.

    Schroeder's Bark, ``6 asinh(f / 600)``.
    """
    return _warped(low, high, bands, lambda f: np.arcsinh(f / 600), lambda b: 600 * np.sinh(b))


def _warped(
    low: float,
    high: float,
    bands: int,
    there: Callable[[Frequencies], Frequencies],
    back: Callable[[Frequencies], Frequencies],
) -> Frequencies:
    first, last = there(np.array([low, high]))
    scale = back(np.linspace(first, last, bands))
    # Rounding must not leave a tiny band between the scale and half the rate.
    scale[0], scale[-1] = low, high
    return scale


class _Frame:
    """The bands of a scale; below zero and beyond half the rate they use mirrored bins."""

    def __init__(
        self,
        scale: Sequence[float] | Frequencies,
        rate: float,
        samples: int,
        lengthen: Callable[[Integers], Integers],
    ) -> None:
        centres, widths = _centres(np.asarray(scale, dtype=np.float64), rate, samples)
        lengths = lengthen(widths)
        self.samples = samples
        self.widths = widths
        self.bands = len(widths)
        self.frequencies = centres * float(rate / samples)

        band = np.repeat(np.arange(self.bands), widths)
        from_centre = np.concatenate([np.arange(width) - width // 2 for width in widths])
        window = 0.5 + 0.5 * np.cos(2 * np.pi * from_centre / widths[band])
        bins = (centres[band] + from_centre) % samples
        mirrored = bins > samples // 2
        bins = np.where(mirrored, samples - bins, bins)
        # Inner bands also exist at negative frequencies, and so twice in a bin that is its own
        # mirror; the outer two exist once, and their mirrored half is redundant.
        outer = (band == 0) | (band == self.bands - 1)
        own_mirror = (bins == 0) | (2 * bins == samples)
        times = np.where(outer, ~mirrored, 1 + own_mirror)
        cover = np.bincount(bins, times * window**2, samples // 2 + 1)
        if cover.min() < _LEAST_COVER:
            raise ValueError("the scale leaves frequencies between its bands uncovered")
        dual = times * window * lengths[band]
        dual /= np.bincount(bins, dual * window)[bins]
        # The transforms below do not divide by their length, and know only one of two mirrored
        # bins.
        weights: dict[Weights, Frequencies] = {
            "window": window / lengths[band],
            "dual": dual * (2 - own_mirror) / samples,
        }
        self._layout = Layout(samples, widths, lengths, from_centre, bins, mirrored, weights)
        self.shapes = self._layout.shapes
        self._plans: dict[tuple[torch.device, torch.dtype], BandPlan] = {}

    def _forward(self, signal: torch.Tensor) -> list[torch.Tensor]:
        """Return the coefficients ``(..., bands, length)`` of each group of bands."""
        missing = self.samples - signal.shape[-1]
        if missing < 0:
            raise ValueError(f"need at most {self.samples} samples, not {signal.shape[-1]}")
        whole = functional.pad(signal, (0, missing)) if missing else signal
        made = self._plan(signal).analyse(whole.reshape(-1, self.samples), "window")
        return [group.view(*signal.shape[:-1], *group.shape[-2:]) for group in made]

    def _inverse(self, groups: Sequence[torch.Tensor], samples: int | None) -> torch.Tensor:
        """Return the signal ``(..., samples)`` of the coefficients."""
        rows = [group.reshape(-1, *group.shape[-2:]) for group in groups]
        signal = self._plan(groups[0].real).synthesise(rows, "dual")
        return signal.view(*groups[0].shape[:-2], self.samples)[..., :samples]

    def _plan(self, like: torch.Tensor) -> BandPlan:
        """Return the plan for the device and the precision of ``like``."""
        key = (like.device, like.dtype)
        if key not in self._plans:
            # Tensors made in inference mode could not be used for gradients later.
            with torch.inference_mode(False):
                self._plans[key] = BandPlan(self._layout, *key)
        return self._plans[key]


class Nsgt(_Frame):
    """Transform of signals of one length, taken as periodic, into a matrix of bands.

    Args:
        scale: increasing centre frequencies in Hz. Bands at 0 and at half the rate are always
            there; frequencies at and beyond these are left out.
        rate: sample rate in Hz.
        samples: length of the signals.
        frames: coefficients of each band; at least, and by default, the width of the widest band
            in bins. Numbers with small prime factors are faster.

    Band ``k`` is the spectrum around its centre times a Hann window that reaches about from the
    band below to the band above, shifted to frequency zero and transformed back (Velasco,
    Holighaus, Dörfler and Grill 2011). `inverse` weights each band by its window over the sum of
    all squared windows. Raises `ValueError` if the scale does not increase or does not cover all
    frequencies.

    >>> nsgt = Nsgt(bark(0, 22050, 96), rate=44100, samples=44032)
    >>> signal = torch.randn(2, 44032, generator=torch.Generator().manual_seed(0))
    >>> coefficients = nsgt.forward(signal)
    >>> coefficients.shape
    torch.Size([2, 96, 1948])
    >>> torch.allclose(nsgt.inverse(coefficients), signal, atol=1e-5)
    True
    """

    def __init__(
        self,
        scale: Sequence[float] | Frequencies,
        *,
        rate: float = 44100,
        samples: int = 44032,
        frames: int | None = None,
    ) -> None:
        def all_alike(widths: Integers) -> Integers:
            longest = widths.max()
            if frames is not None and frames < longest:
                raise ValueError(f"need frames >= {longest}, the widest band, not {frames}")
            return np.full_like(widths, longest if frames is None else frames)

        super().__init__(scale, rate, samples, all_alike)
        ((_, self.frames),) = self.shapes

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        """Return the coefficients of a signal; shorter ones are padded with zeros.

        Shape:
            signal: ``(..., samples)``, real.
            result: ``(..., bands, frames)``, complex.
        """
        return self._forward(signal)[0]

    def inverse(self, coefficients: torch.Tensor, samples: int | None = None) -> torch.Tensor:
        """Return the first ``samples`` (None: all) of the signal with these coefficients.

        Shape:
            coefficients: ``(..., bands, frames)``, complex.
            result: ``(..., samples)``, real.
        """
        return self._inverse([coefficients], samples)


class RaggedNsgt(_Frame):
    """The bands of `Nsgt`, each with as many coefficients as it needs.

    Args:
        scale, rate, samples: as for `Nsgt`.
        lengths: coefficients of a band: its ``own`` width in bins, or ``grouped``, the next higher
            of 4, 6, 8, 12, 16, 24 and so on, so that few Fourier transforms suffice for all bands.

    In `inverse` each band is weighted by its number of coefficients. ``shapes`` has
    ``(bands, length)`` of groups of adjacent bands of the same length, from low to high.

    >>> RaggedNsgt(bark(0, 22050, 12), samples=1024, lengths="grouped").shapes
    [(2, 12), (1, 16), (1, 24), (1, 32), (1, 48), (1, 64), (1, 96), (1, 128), (1, 192), (2, 384)]
    """

    def __init__(
        self,
        scale: Sequence[float] | Frequencies,
        *,
        rate: float = 44100,
        samples: int = 44032,
        lengths: Literal["own", "grouped"] = "own",
    ) -> None:
        super().__init__(scale, rate, samples, _round_up if lengths == "grouped" else np.copy)

    def forward(self, signal: torch.Tensor) -> list[torch.Tensor]:
        """Return the coefficients of a signal; shorter ones are padded with zeros.

        Shape:
            signal: ``(..., samples)``, real.
            result: ``(..., bands, length)``, complex, for each of ``shapes``.
        """
        return self._forward(signal)

    def inverse(
        self, coefficients: Sequence[torch.Tensor], samples: int | None = None
    ) -> torch.Tensor:
        """Return the first ``samples`` (None: all) of the signal with these coefficients.

        Shape:
            coefficients: ``(..., bands, length)``, complex, for each of ``shapes``.
            result: ``(..., samples)``, real.
        """
        return self._inverse(coefficients, samples)


def _centres(scale: Frequencies, rate: float, samples: int) -> tuple[Integers, Integers]:
    """Return the centres and widths of all bands, in bins."""
    inner = scale[(scale > 0) & (scale < rate / 2)]
    if not inner.size or (np.diff(scale) <= 0).any():
        raise ValueError("need increasing frequencies, some of them between 0 and half the rate")
    place = np.concatenate([[0.0], inner, [rate / 2], [rate - inner[-1]]]) * (samples / rate)
    widths = np.concatenate([[2 * place[1]], place[2:] - place[:-2]]).round()
    # The gap above the last frequency may be wide: its band is centred between its neighbours.
    place[-3] = (place[-4] + place[-2]) / 2
    centres = place[:-1].round()
    return centres.astype(np.int64), widths.clip(_SHORTEST).astype(np.int64)


def _round_up(widths: Integers) -> Integers:
    """Return the next power of two, or one and a half times a power of two."""
    power = 2 ** np.ceil(np.log2(widths)).astype(np.int64)
    return np.where(4 * widths <= 3 * power, 3 * power // 4, power)
