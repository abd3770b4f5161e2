"""One panel of a boxplot: the methods with one stem, the best on top, as boxes or as points."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.cbook import boxplot_stats

from sepbench.metrics.protocols import Protocol, reduce
from sepbench.report import figure as pictures
from sepbench.report.caption import DAGGER, POINTS_UP_TO, songs
from sepbench.report.figure import INK, MUTED
from sepbench.report.intervals import intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {"method": "#56B4E9", "published": "#E69F00", "oracle": "#BBBBBB"}
"""Colours of methods, from the palette of Okabe and Ito; published oracles have that of oracles."""

SURE = "#D55E00"
"""Colour of intervals, from the same palette."""

BOX = 0.64
"""Height of a box, as a share of its row."""

MOST_ROWS = 60
"""Number of methods in a panel; more are in the tables alone."""

MOST_LETTERS = 40
"""Length of a method's name from which it is broken into two lines."""


@dataclass(frozen=True)
class Panel:
    """The data of one panel.

    ``methods`` has a row a label, from the top: ``score`` of the data set, ``low`` and ``high`` end
    of its 95 % interval over tracks, the ``values`` and the number of ``tracks``, ``oracle``,
    ``kind``, and the ``name`` that is written. The worst, ``left_out`` in number, are not drawn.
    ``scores`` are those of all tracks, with ``kind`` and ``row`` of the method and the number of
    the ``song``. ``floor`` is the mixture's score and ``ceiling`` the best oracle's, NaN without
    one.
    """

    stem: str
    methods: pd.DataFrame
    scores: pd.DataFrame
    left_out: int
    floor: float
    ceiling: float

    @property
    def most(self) -> int:
        """The largest number of tracks of a method."""
        return int(self.methods["tracks"].max())


def panel(stem: str, scores: pd.DataFrame, protocol: Protocol) -> Panel:
    """Return the panel of one stem: oracles first, then by the protocol's score over tracks."""
    over_tracks = protocol.over_tracks[0]
    theirs = np.where(scores["published"], "published", "method")
    kinds = np.where(scores["oracle"], "oracle", theirs)
    scores = scores.assign(
        kind=kinds,
        song=songs(scores),
        value=protocol.sizes(scores["value"].to_numpy(dtype=float)),
        mixture=protocol.sizes(scores["mixture"].to_numpy(dtype=float)),
    )
    groups = scores.groupby("label")
    methods = groups.agg(
        tracks=("song", "nunique"),
        oracle=("oracle", "any"),
        kind=("kind", "first"),
        trained=("trained_on_this", "any"),
    )
    values: Any = [own.to_numpy(dtype=float) for _, own in groups["value"]]
    methods["values"] = values
    methods["score"] = [reduce(over_tracks, own) for own in values]
    methods["worse"] = [-protocol.goodness(score) for score in methods["score"]]
    methods["name"] = [
        _in_lines(f"{label} {DAGGER}" if trained else str(label))
        for label, trained in methods["trained"].items()
    ]
    methods = methods.sort_values(["oracle", "worse", "label"], ascending=[False, True, True])
    ceiling = float(methods["score"].iloc[0]) if methods["oracle"].any() else math.nan
    shown = methods[:MOST_ROWS].copy()
    shown[["low", "high"]] = intervals([*shown["values"]], over_tracks)
    # Methods with other target sets use other windows of the mixture; the median over methods is
    # the mixture in the usual set.
    mixture = scores.groupby("song")["mixture"].median()
    scores = scores.assign(row=shown.index.get_indexer(pd.Index(scores["label"])))
    return Panel(
        stem,
        shown,
        scores[scores["row"] >= 0],
        left_out=len(methods) - len(shown),
        floor=reduce(over_tracks, mixture.to_numpy(dtype=float)),
        ceiling=ceiling,
    )


def draw(
    axes: Axes, panel: Panel, protocol: Protocol, *, rows: int, boxes: bool, counts: bool
) -> None:
    """Draw ``panel`` into ``axes``, with space for ``rows`` rows.

    With ``boxes`` the tracks of a method are a box, else points; with ``counts`` the number of
    tracks of each method is written after its score.
    """
    methods, scores = panel.methods, panel.scores
    marks = sorted([(panel.floor, "mixture", "--"), (panel.ceiling, "best oracle", ":")])
    known = [mark for mark in marks if math.isfinite(mark[0])]
    for (value, name, style), side in zip(known, ("right", "left"), strict=False):
        axes.axvline(value, color=INK, linestyle=style, linewidth=1.1, zorder=1)
        place = (value, 1.0), ("data", "axes fraction"), (0, 4)
        _annotate(axes, f"{name} {pictures.decibels(value)}", *place, side)
    sure = np.flatnonzero(np.isfinite(methods["low"]))
    ends = methods[["low", "high"]].to_numpy()[sure]
    axes.hlines(sure + 0.41, *ends.T, color=SURE, lw=1.8, zorder=5)
    # All whiskers and marks are inside; tracks that are not are counted.
    whiskers = 1.5 if boxes else (0, 100)
    stats = pd.DataFrame(boxplot_stats([*methods["values"]], whiskers))
    lines = [value for value, *_ in known]
    inside = np.hstack([methods["score"], stats["whislo"], stats["whishi"], lines])
    pad = max(0.07 * np.ptp(inside), 0.25)
    left, right = inside.min() - pad, inside.max() + pad
    if boxes:
        _draw_boxes(axes, panel, means=protocol.over_tracks[0] == "mean")
        _count(axes, scores.loc[scores["value"] < left, "row"], "◂{}", 0.0, "left")
        _count(axes, scores.loc[scores["value"] > right, "row"], "{}▸", 1.0, "right")
    else:
        _draw_points(axes, panel)
    axes.axhspan(-0.5, methods["oracle"].sum() - 0.5, color="#F2F2F2", linewidth=0, zorder=0)
    axes.set(xlim=(left, right), ylim=(rows - 0.5, -0.5))
    _write_scores(axes, panel, protocol, counts)
    _label(axes, panel, protocol)


def _draw_boxes(axes: Axes, panel: Panel, *, means: bool) -> None:
    """Draw the tracks of each method as a box, few of them also as points."""
    few, scores = panel.most <= POINTS_UP_TO, panel.scores
    ring = {"markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 0.5}
    diamond = {"marker": "D", "markerfacecolor": "white", "markeredgecolor": INK, "markersize": 3.5}
    with warnings.catch_warnings():
        # seaborn 0.13.2 uses a name that matplotlib 3.11 has deprecated.
        warnings.filterwarnings("ignore", "vert: bool")
        seaborn.boxplot(
            scores,
            x="value",
            y="row",
            orient="h",
            native_scale=True,
            hue="kind",
            palette=KINDS,
            saturation=1,
            dodge=False,
            legend=False,
            width=BOX,
            linecolor=INK,
            linewidth=0.8,
            showfliers=not few,
            flierprops={**ring, "markersize": 2.2, "alpha": 0.6},
            medianprops={"linewidth": 1.8},
            showmeans=means,
            meanprops=diamond,
            ax=axes,
        )
    if few:
        # Multiples of the golden ratio spread the points of few tracks.
        spread = pd.factorize(scores["song"], sort=True)[0] * 0.6180339887 % 1 - 0.5
        points = scores["row"] + 0.5 * spread
        axes.scatter(scores["value"], points, s=7, color=INK, alpha=0.4, lw=0, zorder=4)


def _draw_points(axes: Axes, panel: Panel) -> None:
    values, places = panel.scores["value"], panel.scores["row"]
    if panel.most == 1 and math.isfinite(panel.floor):
        # The line from the mixture to the method is the improvement.
        axes.hlines(places, panel.floor, values, color=MUTED, lw=1.2, zorder=2)
    colours = panel.scores["kind"].map(KINDS)
    axes.scatter(values, places, s=38, c=colours, edgecolors=INK, linewidths=0.8, zorder=3)
    if panel.most > 1:
        own = panel.methods["score"]
        axes.scatter(own, range(len(own)), s=150, marker="|", color=INK, lw=1.8, zorder=4)


def _count(axes: Axes, rows: pd.Series[int], text: str, x: float, side: str) -> None:
    """Write how many tracks of each method are beyond an end of the axis."""
    for row, count in zip(*np.unique(rows, return_counts=True), strict=True):
        place = (x, float(row)), ("axes fraction", "data"), (0, -3)
        _annotate(axes, text.format(count), *place, side, keeps_room=False)


def _write_scores(axes: Axes, panel: Panel, protocol: Protocol, counts: bool) -> None:
    """Write each method's score, and its number of tracks, in columns right of the axes."""
    heading = protocol.over_tracks[0] if panel.most > 1 else protocol.unit or "score"
    columns = [(44, heading, panel.methods["score"].map(pictures.decibels))]
    if counts:
        columns.append((80, "tracks", panel.methods["tracks"].map(str)))
    for right, name, texts in columns:
        _annotate(axes, name, (1.0, 1.0), ("axes fraction", "axes fraction"), (right, 18), "right")
        for row, text in enumerate(texts):
            place = (1.0, row), ("axes fraction", "data"), (right, -3)
            # All end at the same place, so the head and the first keep room for the others.
            _annotate(axes, text, *place, "right", keeps_room=not row)


def _label(axes: Axes, panel: Panel, protocol: Protocol) -> None:
    axes.set_label(panel.stem)
    axes.set_title(panel.stem, fontsize=11.0, pad=18)
    names = list(panel.methods["name"])
    axes.set_yticks(range(len(names)), names, color=INK, linespacing=0.95)
    for label in axes.get_yticklabels():
        label.set_fontsize(7.0 if "\n" in label.get_text() else 9.0)
    metric = panel.scores["metric"].iloc[0]
    axes.set(xlabel=f"{metric} ({protocol.unit})" if protocol.unit else metric, ylabel="")
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
    axes.annotate(
        text,
        place,
        xycoords=coordinates,
        xytext=offset,
        textcoords="offset points",
        ha=side,
        annotation_clip=False,
        in_layout=keeps_room,
    )


def _in_lines(name: str) -> str:
    """Break a long name into two lines, where an option ends nearest to its middle."""
    if len(name) <= MOST_LETTERS:
        return name
    ends = [index + 1 for index, letter in enumerate(name[:-1]) if letter in ",[ ("]
    middle = len(name) / 2
    cut = min(ends or [len(name) // 2], key=lambda end: abs(end - middle))
    return f"{name[:cut].rstrip()}\n{name[cut:]}"
