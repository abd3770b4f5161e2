"""Pictures of a separation: the spectrograms of mixture and stems, and the mask of each stem.

The mask is computed from the result of any method: ``|stem| / |mixture|``, clipped to 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from scipy.signal.windows import hann

from sepbench._util.text import counted
from sepbench.report import figure as pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

WINDOW = 0.093
"""Length of a window in seconds: 4096 samples at 44.1 kHz."""

OVERLAP = 4
"""Overlap: number of windows that cover a sample, in short songs."""

MOST_FRAMES = 1500
"""Largest number of frames; in long songs, samples between frames are skipped."""

_FRAMES_AT_ONCE = 32
"""Frames transformed together: faster than one by one, in a few MB."""

BANDS = 256
LOWEST = 50.0
"""Lowest frequency in Hz; bands are equally wide on a logarithmic scale."""

RANGE = 80.0
"""Range of the colour scale in dB below the loudest point of the mixture."""

FREQUENCIES = {
    50: "50",
    100: "100",
    200: "200",
    500: "500",
    1000: "1k",
    2000: "2k",
    5000: "5k",
    10000: "10k",
    20000: "20k",
}
TITLE = 12.0
WIDTH, ROW, ABOVE_AND_BELOW = 14.0, 2.0, 1.1
"""Inches of the picture, of one of its rows, and of title and time below."""


class Signal(Protocol):
    """Audio that can be read piece by piece: an array, a memory map, or a file like them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, samples)``."""

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Difference:
    """The error of an estimate, read piece by piece like the signals."""

    estimate: Signal
    truth: Signal

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, samples)``."""
        return self.estimate.shape

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]:
        error: NDArray[Any] = np.subtract(self.estimate[piece], self.truth[piece])
        return error


@pictures.styled
def picture(
    mixture: Signal,
    stems: Mapping[str, Signal],
    rate: int,
    *,
    title: str = "",
    truths: Mapping[str, Signal] | None = None,
) -> Figure:
    """Return a figure with a row for the mixture and one for each stem with its mask.

    If ``truths`` has the true stem, it and the error of the estimate are drawn too.

    Shape:
        mixture: ``(channels, samples)`` at ``rate`` Hz.
        each stem, and each true one: as the mixture.

    Levels are in dB under the loudest point of the mixture and shared by all rows; power is the
    mean over channels. Signals are read frame by frame, at most `MOST_FRAMES` of them, so memory
    beyond the signals does not grow with their length.
    """
    truths = truths or {}
    columns = 4 if truths else 2
    width = WIDTH * columns / 2
    page = pictures.new(width, ABOVE_AND_BELOW + ROW * (1 + len(stems)))
    heading = pictures.wrapped([title or "Mixture and stems"], width, TITLE, bold=True)
    page.suptitle(heading, x=0.01, ha="left")
    grid = page.subplots(1 + len(stems), columns, sharex=True, sharey=True, squeeze=False)
    seconds = mixture.shape[-1] / rate
    panels = _Panels(band_powers(mixture, rate), seconds, rate)
    image = panels.draw_levels(grid[0, 0], "mixture", panels.mixture)
    page.colorbar(image, ax=grid[0, 0], pad=0.01, label="dB under the mixture's peak")
    for row, (name, stem) in zip(grid[1:], stems.items(), strict=True):
        image = panels.draw_stem(row, name, stem, truths.get(name))
    if stems:
        page.colorbar(image, ax=grid[1, 1], pad=0.01, label="|stem| / |mixture|")
    for axes in grid[-1, : columns if stems else 1]:
        axes.set_xlabel("time (s)")
    # The mixture has no mask; the explanation takes its place.
    for axes in grid[0, 1:]:
        axes.set_axis_off()
    lines = _explanation(seconds, rate, mixture.shape[0], bool(truths))
    words = pictures.wrapped(lines, WIDTH / 2.4)
    grid[0, 1].text(0, 1, words, va="top", transform=grid[0, 1].transAxes, linespacing=1.4)
    return page


def band_powers(signal: Signal, rate: int) -> NDArray[np.float32]:
    """Return the mean power over channels and bins in logarithmic bands.

    Shape:
        signal: ``(channels, samples)`` at ``rate`` Hz.
        result: ``(bands, frames)``, frames evenly over the whole signal.
    """
    samples = signal.shape[-1]
    length = 2 ** max(4, round(math.log2(WINDOW * rate)))
    frames = min(MOST_FRAMES, math.ceil(max(samples, 1) * OVERLAP / length))
    window = hann(length, sym=False)
    bands = _band_weights(length, rate)
    powers = np.zeros((BANDS, frames), np.float32)
    for first in range(0, frames, _FRAMES_AT_ONCE):
        last = min(first + _FRAMES_AT_ONCE, frames)
        centres = [int((frame + 0.5) * samples / frames) for frame in range(first, last)]
        pieces = np.stack([_around(signal, centre, length) for centre in centres])
        spectra = np.fft.rfft(pieces * window)
        power = (spectra.real**2 + spectra.imag**2).mean(axis=1)
        powers[:, first:last] = bands @ power.T
    return powers


def _around(signal: Signal, centre: int, length: int) -> NDArray[np.float64]:
    """Return ``length`` samples around ``centre``, silent beyond the ends of the signal."""
    start = centre - length // 2
    piece = np.asarray(signal[:, max(start, 0) : max(start + length, 0)], np.float64)
    padded = np.zeros((piece.shape[0], length))
    ahead = max(-start, 0)
    padded[:, ahead : ahead + piece.shape[1]] = piece
    return padded


def _band_weights(length: int, rate: int) -> NDArray[np.float64]:
    """Return the share of each bin in each band, ``(bands, bins)``.

    Bins have a width of their spacing, so that low bands, narrower than a bin, are not empty.
    """
    edges = np.geomspace(LOWEST, rate / 2, BANDS + 1) * length / rate
    low, high = edges[:-1, None], edges[1:, None]
    bins = np.arange(length // 2 + 1)
    shared = np.minimum(high, bins + 0.5) - np.maximum(low, bins - 0.5)
    shared = shared.clip(0.0)
    weights: NDArray[np.float64] = shared / shared.sum(axis=1, keepdims=True)
    return weights


def decibels(powers: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    """Return powers in dB under ``peak``, at least minus `RANGE`."""
    floor = 10 ** (-RANGE / 10)
    return np.asarray(10 * np.log10(np.maximum(powers / peak, floor)), np.float32)


def frequency_axis(axes: Axes, rate: int) -> None:
    """Label a vertical axis of octaves (the logarithm of Hz to base 2) with frequencies."""
    shown = {hertz: text for hertz, text in FREQUENCIES.items() if hertz <= rate / 2}
    axes.set_yticks([math.log2(hertz) for hertz in shown], list(shown.values()))
    axes.set_ylabel("frequency (Hz)")


class _Panels:
    """Draws the panels of one picture, all with the same axes and colour scales.

    Shape:
        mixture: powers ``(bands, frames)``, as of every other signal.
    """

    def __init__(self, mixture: NDArray[np.float32], seconds: float, rate: int) -> None:
        self.mixture, self._rate = mixture, rate
        self._peak = float(mixture.max()) or 1.0
        self._silent = mixture <= self._peak * 10 ** (-RANGE / 10)
        # An empty song still has axes.
        self._extent = (0.0, max(seconds, 1 / rate), math.log2(LOWEST), math.log2(rate / 2))

    def draw_stem(
        self, row: Sequence[Axes], name: str, stem: Signal, truth: Signal | None
    ) -> AxesImage:
        """Draw a stem, its mask, and, if there is room, the true stem and the error."""
        left, right, *rest = row
        powers = band_powers(stem, self._rate)
        self.draw_levels(left, name, powers)
        if truth is None:
            for axes in rest:
                axes.set_axis_off()
        else:
            error = band_powers(Difference(stem, truth), self._rate)
            self.draw_levels(rest[0], f"true {name}", band_powers(truth, self._rate))
            self.draw_levels(rest[1], f"error of {name}", error)
        return self.draw_mask(right, f"mask of {name}", powers)

    def draw_levels(self, axes: Axes, name: str, powers: NDArray[np.float32]) -> AxesImage:
        """Draw powers in dB under the loudest point of the mixture."""
        return self._draw(axes, name, decibels(powers, self._peak), "magma", (-RANGE, 0.0))

    def draw_mask(self, axes: Axes, name: str, powers: NDArray[np.float32]) -> AxesImage:
        """Draw the mask of a stem: its magnitude over the mixture's, grey where that is silent."""
        ratio = np.sqrt(powers / np.where(self._silent, 1.0, self.mixture)).clip(0.0, 1.0)
        mask = np.ma.masked_array(ratio, self._silent)
        return self._draw(axes, name, mask, "viridis", (0.0, 1.0))

    def _draw(
        self,
        axes: Axes,
        name: str,
        values: NDArray[np.float32],
        colours: str,
        limits: tuple[float, float],
    ) -> AxesImage:
        axes.set_label(name)
        axes.set_title(name, pad=3)
        frequency_axis(axes, self._rate)
        axes.label_outer()
        return axes.imshow(
            values,
            origin="lower",
            aspect="auto",
            extent=self._extent,
            interpolation="antialiased",
            cmap=mpl.colormaps[colours].with_extremes(bad="#BBBBBB"),
            vmin=limits[0],
            vmax=limits[1],
        )


def _explanation(seconds: float, rate: int, channels: int, known: bool) -> tuple[str, ...]:
    count = counted(channels, "channel")
    return (
        f"{seconds:.1f} s at {rate} Hz, {count}; power is the mean over channels.",
        f"Left: levels of mixture and stems on one scale of {RANGE:g} dB.",
        "Right: the share of the mixture's magnitude in each stem, from 0 to 1. "
        f"Grey: the mixture is more than {RANGE:g} dB under its peak.",
        *["Further columns: the true stems, and the errors of the estimates."] * known,
    )
