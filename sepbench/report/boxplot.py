"""Boxplots of scores over tracks: a page with one panel a stem, a legend and a caption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sepbench.errors import SepbenchError
from sepbench.metrics.protocols import Protocol
from sepbench.metrics.protocols import shown as score_name
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report import figure as pictures
from sepbench.report.caption import caption
from sepbench.report.drawing import COUNT, KINDS, PLOT, VALUE, draw
from sepbench.report.figure import INK
from sepbench.report.panel import SMALL, Panel, panel
from sepbench.stems import in_order

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

BOX_FROM = 5
"""Tracks from which a box says more than the points it is made of."""

TITLE = 13.0
HEAD, FOOT = 0.52, 0.5
GAP, MARGIN, LEAD = 0.35, 0.2, 0.165
ASPECT = 1.5


def boxplot(
    scores: pd.DataFrame,
    *,
    protocol: str = "sisec18",
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
    if rules.source == "frames" and rules.over_windows is None:
        raise SepbenchError(
            f"protocol {protocol} has no score of a single track to draw; choose another"
        )
    flags = ("oracle", "trained_on_this", "published")
    scores = scores.assign(**{flag: scores[flag].eq(True) for flag in flags})
    drawn = scores[
        scores["protocol"].eq(protocol)
        & scores["metric"].eq(metric)
        & np.isfinite(scores["value"].astype(float))
    ]
    stems = in_order(drawn["stem"].unique())
    if not stems:
        raise SepbenchError(f"no {metric} of protocol {protocol} to draw: no track has one")
    by_stem = {
        stem: drawn[drawn["stem"].eq(stem)].sort_values(["label", "track"]) for stem in stems
    }
    panels = [panel(stem, rows, rules) for stem, rows in by_stem.items()]
    boxes = max(shown.most for shown in panels) >= BOX_FROM
    words = [
        *caption(pd.concat(by_stem.values()), scores, protocol=rules, metric=metric, boxes=boxes),
        *remarks,
    ]
    title = f"{metric} by stem and method, protocol {protocol}"
    return _page(panels, rules, title, words, boxes)


def save(figure: Figure, folder: Path, *, name: str = "boxplot") -> list[Path]:
    """Write ``boxplot.png`` and ``boxplot.svg`` to ``folder``, each whole or not at all."""
    return [pictures.save(figure, folder / f"{name}.{ending}") for ending in ("png", "svg")]


def _page(
    panels: Sequence[Panel], protocol: Protocol, title: str, words: Sequence[str], boxes: bool
) -> Figure:
    """Lay out title, legend, panels and caption, whose sizes in inches make that of the page."""
    counts = any(len(set(shown.tracks.values())) > 1 for shown in panels)
    left, right = _margins(panels, counts)
    cell = left + PLOT + right
    columns = _columns(panels, cell)
    grid = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    depths = [HEAD + max(shown.height for shown in row) + FOOT for row in grid]
    inside = columns * cell + (columns - 1) * GAP
    lines = [line for text in words for line in pictures.wrap(text, inside, SMALL)]
    keys, key_columns = _legend(panels, inside)
    top = MARGIN + 0.34 + 0.2 * math.ceil(len(keys) / key_columns) + 0.1
    width = inside + 2 * MARGIN
    height = top + sum(depths) + LEAD * len(lines) + MARGIN

    page = pictures.new(width, height)
    pictures.write(page, title, MARGIN, MARGIN, size=TITLE, weight="bold")
    page.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(MARGIN / width, 1 - (MARGIN + 0.34) / height),
        ncols=key_columns,
        frameon=False,
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.4,
        prop=pictures.font(SMALL),
        labelcolor=INK,
    )
    for row, depth in zip(grid, depths, strict=True):
        for column, shown in enumerate(row):
            x = MARGIN + column * (cell + GAP) + left
            y = height - top - HEAD - shown.height
            axes = page.add_axes((x / width, y / height, PLOT / width, shown.height / height))
            axes.set_label(shown.stem)
            draw(axes, shown, protocol, boxes=boxes, counts=counts)
        top += depth
    for index, line in enumerate(lines):
        pictures.write(page, line, MARGIN, top + index * LEAD, size=SMALL)
    return page


def _margins(panels: Sequence[Panel], counts: bool) -> tuple[float, float]:
    """Return the inches that labels need left of a panel, and figures right of it."""
    marks = [text for shown in panels for _, text, _ in shown.marks]
    mark = max((pictures.width_of(text, SMALL) for text in marks), default=0.0)
    label = max(shown.label_width for shown in panels)
    return max(label + 0.12, mark), max(VALUE + COUNT * counts, mark)


def _columns(panels: Sequence[Panel], cell: float) -> int:
    """Return the number of panels side by side that brings the page nearest to `ASPECT`."""

    def mismatch(columns: int) -> float:
        rows = math.ceil(len(panels) / columns)
        tall = rows * (HEAD + FOOT + max(shown.height for shown in panels))
        return abs(math.log(columns * cell / tall / ASPECT)) + 0.1 * (rows * columns - len(panels))

    return min(range(1, len(panels) + 1), key=mismatch)


def _legend(panels: Sequence[Panel], inside: float) -> tuple[list[Artist], int]:
    """Return the keys of all that is drawn, and how many of them fit side by side."""
    names = {"method": "method", "published": "published, not run here", "oracle": "oracle"}
    kinds = {kind for shown in panels for kind in shown.rows["kind"]}
    keys: list[Artist] = [
        Patch(facecolor=colour, edgecolor=INK, linewidth=0.8, label=names[kind])
        for kind, colour in KINDS.items()
        if kind in kinds
    ]
    if any(math.isfinite(shown.floor) for shown in panels):
        keys.append(Line2D([], [], color=INK, linestyle="--", label="mixture (floor)"))
    if any(math.isfinite(shown.ceiling) for shown in panels):
        keys.append(Line2D([], [], color=INK, linestyle=":", label="best oracle (ceiling)"))
    if any(shown.rows["trained_on_this"].any() for shown in panels):
        keys.append(
            Line2D(
                [],
                [],
                color=INK,
                linestyle="none",
                marker=r"$\dagger$",
                markersize=7,
                markeredgewidth=0,
                label="trained on this very set",
            )
        )
    widths = [pictures.width_of(str(key.get_label()), SMALL) + 0.55 for key in keys]
    if sum(widths) <= inside:
        return keys, len(keys)
    return keys, max(1, int(inside / max(widths)))
