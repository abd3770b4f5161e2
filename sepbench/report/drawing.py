"""Draws one panel of a boxplot: one row per method, as a box or as points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.cbook import boxplot_stats

from sepbench.metrics.protocols import Protocol
from sepbench.report import figure as pictures
from sepbench.report.figure import INK, MUTED
from sepbench.report.panel import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {"method": "#56B4E9", "published": "#E69F00", "oracle": "#BBBBBB"}
"""Colours of rows, from the palette of Okabe and Ito; published oracles have that of oracles."""

SURE = "#D55E00"
"""Colour of intervals, from the same palette."""

BOX = 0.64
"""Height of a box, as a share of its row."""

POINTS_UP_TO = 20
"""Number of tracks up to which points are drawn over boxes."""


def draw(
    axes: Axes, panel: Panel, protocol: Protocol, *, rows: int, boxes: bool, counts: bool
) -> None:
    """Draw ``panel`` into ``axes``, with space for ``rows`` rows.

    With ``boxes`` the tracks of a method are a box, else points; with ``counts`` the number of
    tracks of each method is written after its figure.
    """
    for value, text, side in panel.marks:
        style = "--" if text.startswith("mixture") else ":"
        axes.axvline(value, color=INK, linestyle=style, linewidth=1.1, zorder=1)
        _annotate(axes, text, (value, 1.0), ("data", "axes fraction"), (0, 4), side)
    limits = _limits(panel, boxes)
    ends = np.array([panel.intervals[label] for label in panel.figures])
    sure = np.flatnonzero(np.isfinite(ends[:, 0]))
    axes.hlines(sure + 0.41, *ends[sure].T, color=SURE, lw=1.8, zorder=5)
    if boxes:
        _draw_boxes(axes, panel, protocol)
        _count_outside(axes, panel, limits)
    else:
        _draw_points(axes, panel)
    axes.axhspan(-0.5, panel.oracles - 0.5, color="#F2F2F2", linewidth=0, zorder=0)
    axes.set_xlim(*limits)
    axes.set_ylim(rows - 0.5, -0.5)
    _write_figures(axes, panel, protocol, counts)
    _label(axes, panel, protocol)


def _draw_boxes(axes: Axes, panel: Panel, protocol: Protocol) -> None:
    boxes = pd.DataFrame(boxplot_stats([*panel.values.values()]))
    places = np.arange(len(boxes))
    kinds = panel.rows.drop_duplicates("label").set_index("label")["kind"]
    colours = [KINDS[kinds[label]] for label in panel.values]
    middle = boxes["q3"] - boxes["q1"]
    edge: dict[str, Any] = {"edgecolor": INK, "linewidth": 0.8, "zorder": 2}
    axes.barh(places, middle, left=boxes["q1"], height=BOX, color=colours, **edge)
    # One collection for all rows: an artist for each line takes several times as long.
    for end, whisker in (("q1", "whislo"), ("q3", "whishi")):
        axes.hlines(places, boxes[end], boxes[whisker], color=INK, lw=0.8, zorder=2)
        axes.vlines(boxes[whisker], places - BOX / 4, places + BOX / 4, color=INK, lw=0.8, zorder=2)
    axes.vlines(boxes["med"], places - BOX / 2, places + BOX / 2, color=INK, lw=1.8, zorder=3)
    if protocol.over_tracks[0] == "mean":
        axes.scatter(boxes["mean"], places, s=12, marker="D", c="white", edgecolors=INK, zorder=3.5)
    if panel.most > POINTS_UP_TO:
        far = np.repeat(places, [len(values) for values in boxes["fliers"]])
        look: dict[str, Any] = {
            "s": 5,
            "facecolors": "none",
            "edgecolors": INK,
            "linewidths": 0.5,
            "alpha": 0.6,
        }
        axes.scatter(np.concatenate([*boxes["fliers"]]), far, zorder=2.5, **look)
        return
    tracks = sorted(set(panel.rows["track"]))
    # Multiples of the golden ratio spread the points of few tracks.
    height_of = {track: (n * 0.6180339887) % 1 - 0.5 for n, track in enumerate(tracks)}
    spread = 0.5 * panel.rows["track"].map(height_of).to_numpy(dtype=float)
    points = _places(panel) + spread
    axes.scatter(panel.rows["value"], points, s=7, color=INK, alpha=0.4, lw=0, zorder=4)


def _draw_points(axes: Axes, panel: Panel) -> None:
    values, places = panel.rows["value"], _places(panel)
    if panel.most == 1 and math.isfinite(panel.floor):
        # The line from the mixture to the method is the improvement.
        axes.hlines(places, panel.floor, values, color=MUTED, lw=1.2, zorder=2)
    colours = panel.rows["kind"].map(KINDS)
    axes.scatter(values, places, s=38, c=colours, edgecolors=INK, linewidths=0.8, zorder=3)
    if panel.most > 1:
        figures = list(panel.figures.values())
        axes.scatter(figures, range(len(figures)), s=150, marker="|", color=INK, lw=1.8, zorder=4)


def _places(panel: Panel) -> np.ndarray:
    row_of = {label: row for row, label in enumerate(panel.figures)}
    return panel.rows["label"].map(row_of).to_numpy(dtype=float)


def _limits(panel: Panel, boxes: bool) -> tuple[float, float]:
    """Return the limits of the axis: all whiskers and marks are inside, outliers may not be."""
    ends = [value for value in (panel.floor, panel.ceiling) if math.isfinite(value)]
    for values in panel.values.values():
        if boxes:
            lower, upper = np.percentile(values, [25, 75])
            reach = 1.5 * (upper - lower)
            values = values[(values >= lower - reach) & (values <= upper + reach)]
        ends += [float(values.min()), float(values.max())]
    ends += panel.figures.values()
    pad = max(0.07 * (max(ends) - min(ends)), 0.25)
    return min(ends) - pad, max(ends) + pad


def _count_outside(axes: Axes, panel: Panel, limits: tuple[float, float]) -> None:
    for row, own in enumerate(panel.values.values()):
        left, right = int((own < limits[0]).sum()), int((own > limits[1]).sum())
        for count, text, x, side in (
            (left, f"◂{left}", 0.0, "left"),
            (right, f"{right}▸", 1.0, "right"),
        ):
            if count:
                place = (x, row), ("axes fraction", "data"), (0, -3)
                _annotate(axes, text, *place, side, keeps_room=False)


def _write_figures(axes: Axes, panel: Panel, protocol: Protocol, counts: bool) -> None:
    """Write each method's score, and its number of tracks, in columns right of the axes."""
    heading = protocol.over_tracks[0] if panel.most > 1 else protocol.unit or "score"
    figures = [pictures.decibels(value) for value in panel.figures.values()]
    columns = [(44, heading, figures)]
    if counts:
        columns.append((80, "tracks", [str(panel.tracks[label]) for label in panel.figures]))
    for right, name, texts in columns:
        _annotate(axes, name, (1.0, 1.0), ("axes fraction", "axes fraction"), (right, 18), "right")
        for row, text in enumerate(texts):
            place = (1.0, row), ("axes fraction", "data"), (right, -3)
            # All end at the same place, so the head and the first keep room for the others.
            _annotate(axes, text, *place, "right", keeps_room=not row)


def _label(axes: Axes, panel: Panel, protocol: Protocol) -> None:
    axes.set_label(panel.stem)
    axes.set_title(panel.stem, fontsize=11.0, pad=18)
    axes.set_yticks(range(len(panel.figures)), panel.names, color=INK, linespacing=0.95)
    for label in axes.get_yticklabels():
        label.set_fontsize(7.0 if "\n" in label.get_text() else 9.0)
    metric = panel.rows["metric"].iloc[0]
    axes.set_xlabel(f"{metric} ({protocol.unit})" if protocol.unit else metric)
    axes.set_ylabel("")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines[["top", "right", "left"]].set_visible(False)


def _annotate(
    axes: Axes,
    text: str,
    place: tuple[float, float],
    coordinates: tuple[str, str],
    offset: tuple[int, int],
    side: str,
    *,
    keeps_room: bool = True,
) -> None:
    """Write ``text`` at an offset in points from a position.

    Text inside the axes, or beside more like it, need not be asked for the room that it takes.
    """
    written = axes.annotate(
        text,
        place,
        xycoords=coordinates,
        xytext=offset,
        textcoords="offset points",
        ha=side,
        annotation_clip=False,
    )
    written.set_in_layout(keeps_room)
