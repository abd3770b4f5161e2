"""Draws one panel of a boxplot: a row a method, as a box or as points."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib.patches import Rectangle

from sepbench.metrics.protocols import Protocol
from sepbench.report import figure as pictures
from sepbench.report.figure import INK, MUTED
from sepbench.report.panel import BROKEN_LABEL, LABEL, SMALL, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {"method": "#56B4E9", "published": "#E69F00", "oracle": "#BBBBBB"}
"""Colours of the rows, from the palette of Okabe and Ito; published oracles count as oracles."""

SURE = "#D55E00"
"""Colour of intervals, from the same palette."""

POINTS_UP_TO = 20
"""Tracks up to which each is drawn as a point over its box."""

PLOT = 4.4
"""Width of the axes in inches; figures end `VALUE`, numbers of tracks `COUNT` more to the right."""

VALUE = 0.62
COUNT = 0.5


def draw(axes: Axes, panel: Panel, protocol: Protocol, *, boxes: bool, counts: bool) -> None:
    """Draw ``panel`` into ``axes`` of `PLOT` inches width.

    With ``boxes`` the tracks of a method are a box, else points; with ``counts`` the number of
    tracks of each method is written after its figure.
    """
    axes.set_ylim(len(panel.figures) - 0.5, -0.5)
    axes.axhspan(-0.5, panel.oracles - 0.5, color="#F2F2F2", linewidth=0, zorder=0)
    for decibel, text, side in panel.marks:
        style = "--" if text.startswith("mixture") else ":"
        axes.axvline(decibel, color=INK, linestyle=style, linewidth=1.1, zorder=1)
        _write(axes, text, decibel, 0.05, side)
    limits = _limits(panel, boxes)
    _draw_intervals(axes, panel)
    if boxes:
        _draw_boxes(axes, panel, protocol, points=panel.most <= POINTS_UP_TO)
        _count_outside(axes, panel, limits)
    else:
        _draw_points(axes, panel)
    axes.set_xlim(*limits)
    _write_figures(axes, panel, protocol, counts)
    _dress(axes, panel, protocol)


def _draw_boxes(axes: Axes, panel: Panel, protocol: Protocol, *, points: bool) -> None:
    with warnings.catch_warnings():
        # seaborn 0.13.2 speaks to matplotlib by a name that 3.11 gave up.
        warnings.filterwarnings("ignore", "vert: bool")
        sns.boxplot(
            panel.rows,
            x="value",
            y="label",
            order=list(panel.figures),
            hue="kind",
            hue_order=list(KINDS),
            palette=KINDS,
            saturation=1,
            dodge=False,
            width=0.64,
            linewidth=0.8,
            linecolor=INK,
            medianprops={"linewidth": 1.8},
            showfliers=not points,
            flierprops={"marker": "o", "markersize": 2.2, "markeredgewidth": 0.5, "alpha": 0.6},
            showmeans=protocol.over_tracks[0] == "mean",
            meanprops={
                "marker": "D",
                "markersize": 3.5,
                "markerfacecolor": "white",
                "markeredgecolor": INK,
                "markeredgewidth": 0.8,
            },
            legend=False,
            ax=axes,
        )
    if points:
        across = 0.5 * (_spread(panel) - 0.5)
        places = _places(panel) + across
        axes.scatter(panel.rows["value"], places, s=7, color=INK, alpha=0.4, lw=0, zorder=4)


def _draw_intervals(axes: Axes, panel: Panel) -> None:
    """Draw the interval of each method's figure below its row."""
    for row, label in enumerate(panel.figures):
        low, high = panel.intervals[label]
        if math.isfinite(low):
            bar = Rectangle((low, row + 0.37), high - low, 0.09, color=SURE, lw=0, zorder=5)
            axes.add_patch(bar)


def _draw_points(axes: Axes, panel: Panel) -> None:
    places = _places(panel)
    if panel.most == 1 and math.isfinite(panel.floor):
        # The line from the mixture to the method is the improvement.
        axes.hlines(places, panel.floor, panel.rows["value"], color=MUTED, lw=1.2, zorder=2)
    colours = [KINDS[kind] for kind in panel.rows["kind"]]
    axes.scatter(
        panel.rows["value"], places, s=38, c=colours, edgecolors=INK, linewidths=0.8, zorder=3
    )
    if panel.most > 1:
        figures = list(panel.figures.values())
        axes.scatter(figures, range(len(figures)), s=150, marker="|", color=INK, lw=1.8, zorder=4)


def _places(panel: Panel) -> np.ndarray:
    row_of = {label: row for row, label in enumerate(panel.figures)}
    return panel.rows["label"].map(row_of).to_numpy(dtype=float)


def _spread(panel: Panel) -> np.ndarray:
    """Return a height within the row for each track, from 0 to 1, the same for every method."""
    tracks = sorted(set(panel.rows["track"]))
    # Multiples of the golden ratio leave no two of a few tracks close to each other.
    height_of = {track: (index * 0.6180339887) % 1 for index, track in enumerate(tracks)}
    return panel.rows["track"].map(height_of).to_numpy(dtype=float)


def _limits(panel: Panel, boxes: bool) -> tuple[float, float]:
    """Return the ends of the axis: all whiskers and marks are inside, far tracks may not be."""
    ends = [value for value in (panel.floor, panel.ceiling) if math.isfinite(value)]
    for _, group in panel.rows.groupby("label"):
        values = group["value"].to_numpy(dtype=float)
        if boxes:
            lower, upper = np.percentile(values, [25, 75])
            reach = 1.5 * (upper - lower)
            values = values[(values >= lower - reach) & (values <= upper + reach)]
        ends += [float(values.min()), float(values.max())]
    ends += panel.figures.values()
    pad = max(0.07 * (max(ends) - min(ends)), 0.25)
    return min(ends) - pad, max(ends) + pad


def _count_outside(axes: Axes, panel: Panel, limits: tuple[float, float]) -> None:
    values = panel.rows["value"]
    for row, label in enumerate(panel.figures):
        own = values[panel.rows["label"].eq(label)]
        left, right = int((own < limits[0]).sum()), int((own > limits[1]).sum())
        for count, where, text in ((left, 0.004, f"◂{left}"), (right, 0.996, f"{right}▸")):
            if count:
                axes.text(
                    where,
                    row,
                    text,
                    transform=axes.get_yaxis_transform(),
                    ha="left" if where < 0.5 else "right",
                    va="center",
                    color=MUTED,
                    fontproperties=pictures.font(6.5),
                    zorder=5,
                )


def _write_figures(axes: Axes, panel: Panel, protocol: Protocol, counts: bool) -> None:
    heading = protocol.over_tracks[0] if panel.most > 1 else protocol.unit or "score"
    _write(axes, heading, VALUE, 0.28, "right", inches=True)
    _write(axes, panel.stem, -PLOT, 0.26, "left", inches=True, size=11.0, weight="bold")
    if counts:
        _write(axes, "tracks", VALUE + COUNT, 0.28, "right", inches=True)
    for row, (label, value) in enumerate(panel.figures.items()):
        texts = [(VALUE, pictures.decibels(value), INK)]
        if counts:
            texts.append((VALUE + COUNT, str(panel.tracks[label]), MUTED))
        for where, text, colour in texts:
            axes.text(
                1 + where / PLOT,
                row,
                text,
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center_baseline",
                color=colour,
                fontproperties=pictures.font(LABEL),
            )


def _write(
    axes: Axes,
    text: str,
    x: float,
    above: float,
    side: str,
    *,
    inches: bool = False,
    size: float = SMALL,
    weight: str = "normal",
) -> None:
    """Write ``text`` so many inches above the axes, at ``x`` dB or inches from the right edge."""
    axes.annotate(
        text,
        (1.0, 1.0) if inches else (x, 1.0),
        xycoords="axes fraction" if inches else axes.get_xaxis_transform(),
        xytext=(72 * x if inches else 0.0, 72 * above),
        textcoords="offset points",
        ha=side,
        va="bottom",
        color=INK,
        fontproperties=pictures.font(size, weight),
        annotation_clip=False,
    )


def _dress(axes: Axes, panel: Panel, protocol: Protocol) -> None:
    axes.set_yticks(
        range(len(panel.figures)),
        panel.names,
        fontproperties=pictures.font(LABEL),
        color=INK,
        parse_math=False,
        linespacing=0.95,
    )
    for label in axes.get_yticklabels():
        if "\n" in label.get_text():
            label.set_fontsize(BROKEN_LABEL)
    axes.set_ylabel("")
    metric = panel.rows["metric"].iloc[0]
    axes.set_xlabel(
        f"{metric} ({protocol.unit})" if protocol.unit else metric,
        fontproperties=pictures.font(SMALL),
        color=MUTED,
        labelpad=2,
    )
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", length=3, color=MUTED, labelcolor=MUTED, labelsize=SMALL)
    axes.tick_params(axis="x", labelfontfamily=pictures.FONT)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
