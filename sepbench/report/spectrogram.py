"""A picture of a separation: the spectrograms of mixture and stems, and the mask of each stem.

A mask is what a time-frequency method would have multiplied the mixture with, here computed from
the outcome of any method: ``|stem| / |mixture|``, clipped to 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator
from numpy.typing import NDArray
from scipy.signal.windows import hann

from sepbench.report import figure as pictures
from sepbench.report.figure import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

WINDOW = 0.093
"""Seconds under one window: 4096 samples at 44.1 kHz."""

OVERLAP = 4
"""Windows that cover one sample, where the song is short enough."""

MOST_FRAMES = 1500
"""Frames of the longest song; between those of a longer one, samples are passed over."""

BANDS = 256
LOWEST = 50.0
"""Hz at the bottom of the picture, whose bands are equally wide on a logarithmic scale."""

RANGE = 80.0
"""dB from the loudest point of the mixture to the end of the colour scale."""

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
SIZE, TITLE = 8.0, 13.0
WIDTH, ROW = 5.2, 1.6
LEFT, GAP, RIGHT = 0.8, 1.65, 0.9
TOP, BETWEEN, BOTTOM = 0.85, 0.36, 0.55
MARGIN = 0.2


class Signal(Protocol):
    """Audio that can be read piece by piece: an array, a memory map, or a file like them."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, samples)``."""

    def __getitem__(self, piece: tuple[slice, slice], /) -> NDArray[Any]: ...


def picture(mixture: Signal, stems: Mapping[str, Signal], rate: int, *, title: str = "") -> Figure:
    """Return a figure with a row for the mixture and one for each stem with its mask.

    Shape:
        mixture: ``(channels, samples)`` at ``rate`` Hz.
        each stem: as the mixture.

    Levels are in dB under the loudest point of the mixture and shared by all rows; power is the
    mean over channels. Signals are read frame by frame, at most `MOST_FRAMES` of them, so memory
    beyond the signals does not grow with their length.
    """
    height = TOP + ROW + len(stems) * (ROW + BETWEEN) + BOTTOM
    width = LEFT + WIDTH + GAP + WIDTH + RIGHT
    page = pictures.new(width, height)
    title = title or "Mixture and stems"
    # Small letters are a little wider than in proportion: hinting rounds them to whole pixels.
    fits = 0.95 * (width - 2 * MARGIN) / pictures.width_of(title, TITLE, "bold")
    pictures.write(page, title, MARGIN, MARGIN, size=TITLE * min(1.0, fits), weight="bold")
    seconds = mixture.shape[-1] / rate
    span = (0.0, max(seconds, 1 / rate), math.log2(LOWEST), math.log2(rate / 2))

    whole = band_powers(mixture, rate)
    peak = float(whole.max()) or 1.0
    silent = whole <= peak * 10 ** (-RANGE / 10)
    axes = _axes(page, 0, 0, "mixture", span)
    levels = _show(axes, _decibels(whole, peak), span, "magma", (-RANGE, 0.0))
    _scale(page, axes, levels, "dB under the mixture's peak")
    bottom = [axes]
    for row, (name, stem) in enumerate(stems.items(), 1):
        powers = band_powers(stem, rate)
        left = _axes(page, 0, row, name, span)
        _show(left, _decibels(powers, peak), span, "magma", (-RANGE, 0.0))
        right = _axes(page, 1, row, f"mask of {name}", span)
        ratio = np.sqrt(powers / np.where(silent, 1.0, whole)).clip(0.0, 1.0)
        mask = _show(right, np.ma.masked_array(ratio, silent), span, "viridis", (0.0, 1.0))
        if row == 1:
            _scale(page, right, mask, "|stem| / |mixture|")
        bottom = [left, right]
    for axes in bottom:
        axes.set_xlabel("time (s)", fontproperties=pictures.font(SIZE), color=MUTED)
        axes.tick_params(axis="x", labelbottom=True)
    _explain(page, seconds, rate, mixture.shape[0])
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
    for frame in range(frames):
        start = int((frame + 0.5) * samples / frames) - length // 2
        piece = np.asarray(signal[:, max(start, 0) : max(start + length, 0)], np.float64)
        # Frames at either end reach out of the signal, into silence.
        padded = np.zeros((piece.shape[0], length))
        ahead = max(-start, 0)
        padded[:, ahead : ahead + piece.shape[1]] = piece
        spectrum = np.fft.rfft(padded * window)
        powers[:, frame] = bands @ (np.abs(spectrum) ** 2).mean(axis=0)
    return powers


def _band_weights(length: int, rate: int) -> NDArray[np.float64]:
    """Return the share of each bin in each band, ``(bands, bins)``.

    A bin is taken as wide as the distance to its neighbours, so that the low bands, which are
    narrower than a bin, are not empty.
    """
    edges = np.geomspace(LOWEST, rate / 2, BANDS + 1) * length / rate
    low, high = edges[:-1, None], edges[1:, None]
    bins = np.arange(length // 2 + 1)
    shared = np.minimum(high, bins + 0.5) - np.maximum(low, bins - 0.5)
    shared = shared.clip(0.0)
    weights: NDArray[np.float64] = shared / shared.sum(axis=1, keepdims=True)
    return weights


def _decibels(powers: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    floor = 10 ** (-RANGE / 10)
    return np.asarray(10 * np.log10(np.maximum(powers / peak, floor)), np.float32)


def _axes(
    page: Figure, column: int, row: int, name: str, span: tuple[float, float, float, float]
) -> Axes:
    width, height = page.get_size_inches()
    x = LEFT + column * (WIDTH + GAP)
    y = height - TOP - ROW - row * (ROW + BETWEEN)
    axes = page.add_axes((x / width, y / height, WIDTH / width, ROW / height), label=name)
    axes.set_title(
        name,
        loc="left",
        pad=3,
        color=INK,
        fontproperties=pictures.font(9.0, "bold"),
        parse_math=False,
    )
    axes.set_xlim(*span[:2])
    axes.set_ylim(*span[2:])
    shown = {hertz: text for hertz, text in FREQUENCIES.items() if math.log2(hertz) <= span[3]}
    axes.yaxis.set_major_locator(FixedLocator([math.log2(hertz) for hertz in shown]))
    axes.yaxis.set_major_formatter(FixedFormatter(list(shown.values())))
    axes.set_ylabel("frequency (Hz)", fontproperties=pictures.font(SIZE), color=MUTED)
    axes.tick_params(
        color=MUTED,
        labelcolor=MUTED,
        labelsize=SIZE,
        labelfontfamily=pictures.FONT,
        labelbottom=False,
    )
    axes.spines[:].set_color(MUTED)
    return axes


def _show(
    axes: Axes,
    values: NDArray[np.float32],
    span: tuple[float, float, float, float],
    colours: str,
    limits: tuple[float, float],
) -> AxesImage:
    return axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=span,
        interpolation="antialiased",
        cmap=mpl.colormaps[colours].with_extremes(bad="#BBBBBB"),
        vmin=limits[0],
        vmax=limits[1],
    )


def _scale(page: Figure, axes: Axes, image: AxesImage, name: str) -> None:
    box = axes.get_position()
    width = page.get_size_inches()[0]
    beside = page.add_axes((box.x1 + 0.1 / width, box.y0, 0.13 / width, box.height), label=name)
    bar = page.colorbar(image, cax=beside)
    bar.set_label(name, fontproperties=pictures.font(SIZE), color=MUTED)
    beside.tick_params(color=MUTED, labelcolor=MUTED, labelsize=SIZE, labelfontfamily=pictures.FONT)


def _explain(page: Figure, seconds: float, rate: int, channels: int) -> None:
    """Say what is seen, in the corner that the mixture leaves empty, as it has no mask."""
    count = "1 channel" if channels == 1 else f"{channels} channels"
    sentences = (
        f"{seconds:.1f} s at {rate} Hz, {count}; power is the mean over channels.",
        f"Left: levels of mixture and stems on one scale of {RANGE:g} dB.",
        "Right: what of the mixture's magnitude each stem has, from 0 to 1. "
        f"Grey: the mixture is more than {RANGE:g} dB under its peak.",
    )
    lines = [line for text in sentences for line in pictures.wrap(text, WIDTH, SIZE)]
    for index, line in enumerate(lines):
        pictures.write(page, line, LEFT + WIDTH + GAP, TOP + 0.165 * index, size=SIZE)
