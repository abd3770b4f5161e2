"""Pictures of a comparison: a critical-difference diagram, and the differences by song."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sepbench._util.text import counted
from sepbench.audio import safe_name
from sepbench.report import figure as pictures
from sepbench.report.compare import Comparison
from sepbench.report.figure import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BETTER, WORSE = "#0072B2", "#D55E00"
"""Colours above and below the baseline, from the palette of Okabe and Ito."""

MOST_LINES = 6
SIZE, TITLE = 9.0, 10.0
LETTER = 0.08
"""Width of a letter of a method's name in inches."""

_LONGEST_NAME = 36
"""Letters of a track's name."""


def save(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the pictures of a comparison as PNG and SVG; return their paths."""
    name = safe_name(f"{comparison.stem}-{comparison.metric}-{comparison.protocol.id}")
    made = {"differences": differences(comparison)}
    if comparison.ranks:
        made["critical-difference"] = critical_difference(comparison)
    return [
        pictures.save(figure, folder / f"{kind}-{name}.{ending}")
        for kind, figure in made.items()
        for ending in ("png", "svg")
    ]


@pictures.styled
def critical_difference(comparison: Comparison) -> Figure:
    """Return a diagram of mean ranks; a bar joins methods without significant differences.

    Significance is by Wilcoxon's signed-rank test of each pair with Holm's correction over all
    pairs, not by a critical distance of ranks (Benavoli, Corani and Mangili, 2016).
    """
    ranks = comparison.ranks
    bars = len(comparison.groups)
    rows = (len(ranks) + 1) // 2
    letters = max(len(label) for label in ranks)
    page = _page(
        comparison,
        width=5.5 + 2 * LETTER * letters,
        height=0.5 + 0.17 * bars + 0.26 * rows,
        title="mean rank over tracks, best at the right",
        words=[
            f"{comparison.common} tracks. A bar joins methods without a significant difference "
            "(Wilcoxon, Holm over all pairs, 5\N{NO-BREAK SPACE}%)."
        ],
    )
    axes = page.subplots()
    axes.set_axis_off()
    axes.set_xlim(len(ranks) + 0.1, 0.9)
    axes.set_ylim(0.5 + 0.17 * bars + 0.26 * rows, 0)
    _scale(axes, len(ranks))
    for number, group in enumerate(comparison.groups):
        ends = [ranks[group[0]] - 0.04, ranks[group[-1]] + 0.04]
        level = 0.36 + 0.17 * number
        axes.plot(ends, [level, level], color=INK, lw=4, solid_capstyle="round")
    for place, (label, rank) in enumerate(ranks.items()):
        left = place < rows
        row = place if left else len(ranks) - 1 - place
        level = 0.42 + 0.17 * bars + 0.26 * row
        # The best rank, with its names, is at the right.
        edge = 0.9 if left else len(ranks) + 0.1
        axes.plot([rank, rank, edge], [0.22, level, level], color=MUTED, lw=0.9, clip_on=False)
        axes.annotate(
            f"{label}  {rank:.2f}",
            (edge, level),
            xytext=(6 if left else -6, 0),
            textcoords="offset points",
            ha="left" if left else "right",
            va="center",
            fontsize=SIZE,
            annotation_clip=False,
        )
    return page


@pictures.styled
def differences(comparison: Comparison) -> Figure:
    """Return a plot of the difference to the baseline on each track, with extremes named.

    One row per method, one point per track, a circle for all of them and a thick stroke for its
    interval.
    """
    rows = comparison.differences
    tracks = [each.tracks for each in rows]
    labels = [each.label for each in rows]
    counts = counted(max(tracks), "track")
    if len(set(tracks)) > 1:
        counts = f"up to {counts}"
        labels = [f"{each.label}, n = {each.tracks}" for each in rows]
    statistic = comparison.protocol.over_tracks[0]
    marks = f" each; circle: {statistic}; bar: its 95 % interval over tracks"
    page = _page(
        comparison,
        width=6.0 + LETTER * max(map(len, labels)),
        height=0.5 + 0.42 * len(rows),
        title=f"differences to {comparison.baseline}, song by song",
        words=[
            f"{counts}, one point{marks if max(tracks) > 1 else ''}.",
            *_deciding(comparison),
        ],
    )
    axes = page.subplots()
    axes.axvline(0, color=INK, lw=1)
    for row, each in enumerate(rows):
        pair = comparison.paired(each.label)
        values = (pair[each.label] - pair[comparison.baseline]).to_numpy()
        better = comparison.gains(each.label) > 0
        colours = np.where(better, BETTER, WORSE)
        # A single track is its own statistic.
        spread = ((np.arange(len(values)) * 0.6180339887) % 1 - 0.5) * 0.5 * (len(values) > 1)
        axes.scatter(values, row + spread, s=16, c=colours, alpha=0.6, lw=0, zorder=2)
        if np.isfinite(each.interval.low):
            axes.hlines(row, *each.interval, color=INK, lw=3.5, zorder=3)
        if len(values) > 1:
            axes.plot(each.value, row, "o", ms=6, mfc="white", mec=INK, mew=1.4, zorder=4)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), labels, color=INK, fontsize=SIZE)
    unit = f" in {comparison.protocol.unit}" if comparison.protocol.unit else ""
    axes.set_xlabel(f"difference to {comparison.baseline}{unit}; {comparison.protocol.better}")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return page


def _deciding(comparison: Comparison) -> list[str]:
    """Return lines with the best and the worst track of each method."""
    lines = []
    for each in comparison.differences[:MOST_LINES]:
        tracks = comparison.by_track(each.label)
        if len(tracks) > 1:
            best, worst = (
                f"{_short(tracks[end][1])} ({pictures.decibels(tracks[end][2])})" for end in (-1, 0)
            )
            lines.append(f"{each.label}: best on {best}, worst on {worst}")
    return lines


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _scale(axes: Axes, methods: int) -> None:
    axes.plot([1, methods], [0.22, 0.22], color=INK, lw=1.2)
    for rank in range(1, methods + 1):
        axes.plot([rank, rank], [0.15, 0.22], color=INK, lw=1.2)
        axes.text(rank, 0.11, str(rank), ha="center", va="bottom")


def _page(
    comparison: Comparison, *, width: float, height: float, title: str, words: Sequence[str]
) -> Figure:
    """Return a figure for a plot of some inches, with a title above and a caption below."""
    whole = f"{comparison.stem}, {comparison.metric} ({comparison.protocol.id}): {title}"
    heading = pictures.wrapped([whole], width, TITLE, bold=True)
    below = pictures.wrapped(words, width)
    lines = heading.count("\n") + below.count("\n") + 2
    page = pictures.new(width, height + 0.4 + 0.19 * lines)
    page.suptitle(heading, x=0.01, ha="left", size=TITLE)
    page.supxlabel(below, x=0.01, ha="left", size=pictures.SMALL, linespacing=1.4)
    return page
