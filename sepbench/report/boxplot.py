"""Boxplots of scores over tracks: one panel per stem, a legend and a caption."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sepbench.errors import SepbenchError
from sepbench.metrics.protocols import DEFAULT_PROTOCOL, Protocol
from sepbench.metrics.protocols import shown as score_name
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report import figure as pictures
from sepbench.report.caption import caption
from sepbench.report.figure import INK
from sepbench.report.panel import KINDS, Panel, draw, panel
from sepbench.report.tables import FLAGS
from sepbench.stems import in_order

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

BOX_FROM = 5
"""Number of tracks from which boxes are drawn instead of points."""

TITLE = 13.0
PLOT, LETTER = 5.0, 0.075
"""Inches of a panel's plot and figures, and of each letter of a method's name beside it."""

ROW, BETWEEN, LINE = 0.27, 0.95, 0.165
"""Inches of a method's row, of the space above and below a panel's rows, of a caption's line."""


@pictures.styled
def boxplot(
    scores: pd.DataFrame,
    *,
    protocol: str = DEFAULT_PROTOCOL,
    metric: str | None = None,
    remarks: Sequence[str] = (),
) -> Figure:
    """Return a figure of one metric, by default the protocol's first, over the tracks of a run.

    ``scores`` are rows as in ``scores.csv``, published ones among them or not; ``remarks`` are
    sentences to add to the caption. Methods are sorted, oracles first, by the protocol's figure
    over tracks, which is printed beside each. Raises `SepbenchError` where there is no score.
    """
    rules = find_protocol(protocol)
    metric = metric or score_name(rules.metrics[0])
    rules = rules.of(metric)
    if rules.is_pooled:
        raise SepbenchError(
            f"protocol {protocol} has no score of a single track to draw; choose another"
        )
    drawn = scores[
        scores["protocol"].eq(protocol)
        & scores["metric"].eq(metric)
        & np.isfinite(scores["value"].astype(float))
    ]
    stems = in_order(drawn["stem"].unique())
    if not stems:
        raise SepbenchError(f"no {metric} of protocol {protocol} to draw: no track has one")
    scores, drawn = (
        rows.assign(**{flag: rows[flag].eq(True) for flag in FLAGS}) for rows in (scores, drawn)
    )
    drawn = drawn.iloc[_order(drawn, ("label", "subset", "track"))]
    by_stem = {stem: drawn[drawn["stem"].eq(stem)] for stem in stems}
    panels = [panel(stem, rows, rules) for stem, rows in by_stem.items()]
    boxes = max(shown.most for shown in panels) >= BOX_FROM
    words = [
        *caption(pd.concat(by_stem.values()), scores, protocol=rules, metric=metric, boxes=boxes),
        *_left_out(panels),
        *remarks,
    ]
    title = f"{metric} by stem and method, protocol {protocol}"
    return _page(panels, rules, title, words, boxes)


def save(figure: Figure, folder: Path, *, name: str = "boxplot") -> list[Path]:
    """Write ``boxplot.png`` and ``boxplot.svg`` to ``folder``, each atomically."""
    return [pictures.save(figure, folder / f"{name}.{ending}") for ending in ("png", "svg")]


def _left_out(panels: Sequence[Panel]) -> Iterator[str]:
    """Yield a sentence on methods that are not drawn."""
    some = [
        f"{shown.stem} {len(shown.methods)} of {len(shown.methods) + shown.left_out}"
        for shown in panels
        if shown.left_out
    ]
    if some:
        yield f"Only the best methods are drawn, the tables have all: {'; '.join(some)}."


def _order(rows: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """Return the indices that sort rows by columns of texts with many repetitions."""
    ranks = [pd.factorize(rows[column], sort=True)[0] for column in columns]
    return np.lexsort(ranks[::-1])


def _page(
    panels: Sequence[Panel], protocol: Protocol, title: str, words: Sequence[str], boxes: bool
) -> Figure:
    """Return a page with title and legend above the panels, and the caption below them."""
    # Panels with similar numbers of methods side by side leave little empty space; two in a row
    # are readable at the width of a page.
    panels = sorted(panels, key=lambda shown: -len(shown.methods))
    columns = min(len(panels), 2)
    methods = [shown.methods for shown in panels]
    counts = any(table["tracks"].nunique() > 1 for table in methods)
    lines = (line for table in methods for name in table["name"] for line in name.split("\n"))
    width = columns * (PLOT + LETTER * max(map(len, lines)))
    depths = [
        max(map(len, methods[start : start + columns])) for start in range(0, len(panels), columns)
    ]
    text = pictures.wrapped(words, width)
    above_and_below = 1.0 + LINE * (text.count("\n") + 1)
    page = pictures.new(width, above_and_below + sum(ROW * rows + BETWEEN for rows in depths))
    grid = page.subplots(len(depths), columns, squeeze=False, height_ratios=depths).flatten()
    for place, (shown, axes) in enumerate(zip(panels, grid, strict=False)):
        draw(axes, shown, protocol, rows=depths[place // columns], boxes=boxes, counts=counts)
    for axes in grid[len(panels) :]:
        axes.remove()
    keys = _legend(panels)
    # Constrained layout keeps room for one thing above the panels, so the legend has the title.
    page.legend(
        handles=keys,
        title=title,
        title_fontproperties={"weight": "bold", "size": TITLE},
        alignment="left",
        loc="outside upper left",
        ncols=len(keys) if columns > 1 else math.ceil(len(keys) / 2),
        frameon=False,
        columnspacing=1.4,
    )
    page.supxlabel(text, x=0.01, ha="left", size=pictures.SMALL, weight="normal", linespacing=1.4)
    return page


def _legend(panels: Sequence[Panel]) -> list[Artist]:
    """Return the keys of all that is drawn."""
    names = {"method": "method", "published": "published, not run here", "oracle": "oracle"}
    kinds = {kind for shown in panels for kind in shown.methods["kind"]}
    keys: list[Artist] = [
        Patch(facecolor=colour, edgecolor=INK, linewidth=0.8, label=names[kind])
        for kind, colour in KINDS.items()
        if kind in kinds
    ]
    if any(math.isfinite(shown.floor) for shown in panels):
        keys.append(Line2D([], [], color=INK, linestyle="--", label="mixture (floor)"))
    if any(math.isfinite(shown.ceiling) for shown in panels):
        keys.append(Line2D([], [], color=INK, linestyle=":", label="best oracle (ceiling)"))
    return keys
