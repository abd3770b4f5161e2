"""A picture of detected singing: probability and segments below the song's spectrogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sepbench.report import figure as pictures
from sepbench.report.figure import INK
from sepbench.report.spectrogram import (
    LOWEST,
    RANGE,
    TITLE,
    Signal,
    band_powers,
    decibels,
    frequency_axis,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sepbench.activity.segments import Segment

WIDTH = 10.0
"""Inches of the picture."""

_VOICE = "#E69F00"


@pictures.styled
def picture(
    song: Signal,
    rate: int,
    probabilities: NDArray[np.float32],
    found: Sequence[Segment],
    *,
    title: str = "",
) -> Figure:
    """Return a figure of a song's spectrogram with the detected singing below it.

    Shape:
        song: ``(channels, samples)`` at ``rate`` Hz.
        probabilities: ``(frames,)``, one per 10 ms.
    """
    seconds = max(song.shape[-1], 1) / rate
    page = pictures.new(WIDTH, 4.4)
    heading = pictures.wrapped([title or "Voice activity"], WIDTH, TITLE, bold=True)
    page.suptitle(heading, x=0.01, ha="left")
    above, below = page.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    powers = band_powers(song, rate)
    image = above.imshow(
        decibels(powers, float(powers.max()) or 1.0),
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-RANGE,
        vmax=0,
        extent=(0, seconds, math.log2(LOWEST), math.log2(rate / 2)),
    )
    page.colorbar(image, ax=above, pad=0.01, label="dB under the peak")
    frequency_axis(above, rate)
    for segment in found:
        for axes in (above, below):
            axes.axvspan(segment.start, segment.end, color=_VOICE, alpha=0.22, linewidth=0)
    times = (np.arange(len(probabilities)) + 0.5) / 100
    below.plot(times, probabilities, color=INK, linewidth=0.8)
    below.set_ylim(-0.15, 1.05)
    below.set_xlim(0, seconds)
    below.set_ylabel("probability")
    below.set_xlabel("time (s); shaded: detected singing")
    return page
