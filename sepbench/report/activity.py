"""A picture of where someone sings: probability and segments over the song's spectrogram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sepbench.report import figure as pictures
from sepbench.report.figure import INK, MUTED
from sepbench.report.spectrogram import FREQUENCIES, LOWEST, RANGE, Signal, band_powers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sepbench.activity.segments import Segment

_WIDTH, _HEIGHT = 10.0, 4.4
_SIZE, _TITLE = 8.0, 12.0
_VOICE, _TRUE = "#E69F00", "#009E73"


def picture(
    song: Signal,
    rate: int,
    probabilities: NDArray[np.float32],
    found: Sequence[Segment],
    *,
    reference: NDArray[np.bool_] | None = None,
    title: str = "",
) -> Figure:
    """Return a figure of a song's spectrogram with what was found of singing below it.

    Shape:
        song: ``(channels, samples)`` at ``rate`` Hz.
        probabilities, reference: one for each frame of 10 ms; ``reference`` says where someone
        truly sings.
    """
    seconds = max(song.shape[-1], 1) / rate
    page = pictures.new(_WIDTH, _HEIGHT)
    page.set_layout_engine("constrained")
    above, below = page.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)})
    powers = band_powers(song, rate)
    peak = float(powers.max()) or 1.0
    levels = 10 * np.log10(np.maximum(powers / peak, 10 ** (-RANGE / 10)))
    image = above.imshow(
        levels, origin="lower", aspect="auto", cmap="magma", vmin=-RANGE, vmax=0,
        extent=(0, seconds, math.log2(LOWEST), math.log2(rate / 2)),
    )  # fmt: skip
    bar = page.colorbar(image, ax=above, pad=0.01)
    bar.set_label("dB under the peak", fontproperties=pictures.font(_SIZE), color=MUTED)
    shown = {hertz: text for hertz, text in FREQUENCIES.items() if LOWEST <= hertz <= rate / 2}
    above.set_yticks([math.log2(hertz) for hertz in shown], list(shown.values()))
    above.set_ylabel("frequency (Hz)", fontproperties=pictures.font(_SIZE), color=MUTED)
    above.set_title(
        title or "Voice activity", loc="left", color=INK, parse_math=False,
        fontproperties=pictures.font(_TITLE, "bold"),
    )  # fmt: skip
    for segment in found:
        for axes in (above, below):
            axes.axvspan(segment.start, segment.end, color=_VOICE, alpha=0.22, linewidth=0)
    times = (np.arange(len(probabilities)) + 0.5) / 100
    below.plot(times, probabilities, color=INK, linewidth=0.8)
    if reference is not None:
        below.fill_between(
            times[: len(reference)], -0.12, -0.02, where=reference[: len(times)], color=_TRUE,
            linewidth=0,
        )  # fmt: skip
    below.set_ylim(-0.15, 1.05)
    below.set_xlim(0, seconds)
    below.set_ylabel("probability", fontproperties=pictures.font(_SIZE), color=MUTED)
    truth = "; green: where the true voice sounds" if reference is not None else ""
    below.set_xlabel(
        f"time (s); shaded: someone sings{truth}",
        fontproperties=pictures.font(_SIZE), color=MUTED,
    )  # fmt: skip
    for axes in (above, below, bar.ax):
        _dress(axes)
    return page


def _dress(axes: Axes) -> None:
    axes.tick_params(color=MUTED, labelcolor=MUTED, labelsize=_SIZE, labelfontfamily=pictures.FONT)
    axes.spines[:].set_color(MUTED)
