"""The data of one panel of a boxplot: the methods with one stem, the best on top."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sepbench.metrics.protocols import Protocol, reduce
from sepbench.report import figure as pictures
from sepbench.report.caption import DAGGER
from sepbench.report.scored import Floats
from sepbench.report.statistics import Interval, intervals

MOST_ROWS = 60
"""Number of methods in a panel; more are in the tables alone."""

MOST_LETTERS = 40
"""Length of a method's name from which it is broken into two lines."""


@dataclass(frozen=True)
class Panel:
    """The data of one panel.

    ``rows`` are the scores of ``stem`` with the ``kind`` of each, and ``values`` the same numbers
    by label, from the top. ``figures`` are the scores of the data set, ``intervals`` their 95 %
    intervals over tracks, and ``tracks`` the number of tracks of each. The worst methods,
    ``left_out`` in number, are not drawn. ``oracles`` are the first rows. ``floor`` is the
    mixture's score and ``ceiling`` the best oracle's, NaN if there is none.
    """

    stem: str
    rows: pd.DataFrame
    values: dict[str, Floats]
    figures: dict[str, float]
    intervals: dict[str, Interval]
    tracks: dict[str, int]
    left_out: int
    oracles: int
    floor: float
    ceiling: float

    @property
    def most(self) -> int:
        """The largest number of tracks of a method."""
        return max(self.tracks.values())

    @property
    def names(self) -> list[str]:
        """The labels, with a dagger for methods trained on this set."""
        trained = set(self.rows.loc[self.rows["trained_on_this"], "label"])
        return [_in_lines(f"{x} {DAGGER}" if x in trained else x) for x in self.figures]

    @property
    def marks(self) -> list[tuple[float, str, str]]:
        """The floor and the ceiling: position, text, and the end of the text at the line."""
        floor = (self.floor, f"mixture {pictures.decibels(self.floor)}")
        ceiling = (self.ceiling, f"best oracle {pictures.decibels(self.ceiling)}")
        known = sorted(mark for mark in (floor, ceiling) if math.isfinite(mark[0]))
        sides = ("right", "left") if len(known) == 2 else ("right",)
        return [(*mark, side) for mark, side in zip(known, sides, strict=False)]


def panel(stem: str, rows: pd.DataFrame, protocol: Protocol) -> Panel:
    """Return the panel of one stem, its methods sorted by the protocol's figure over tracks."""
    over_tracks = protocol.over_tracks[0]
    values = {
        str(label): group.to_numpy(dtype=float) for label, group in rows.groupby("label")["value"]
    }
    figures = {label: reduce(over_tracks, own) for label, own in values.items()}
    tracks = rows.groupby("label")["track"].nunique()
    oracles = set(rows.loc[rows["oracle"], "label"])
    order = sorted(
        figures, key=lambda label: (label not in oracles, -protocol.goodness(figures[label]), label)
    )[:MOST_ROWS]
    kept = rows[rows["label"].isin(order)] if len(order) < len(figures) else rows
    shown = {label: values[label] for label in order}
    # Methods with other target sets use other windows of the mixture; the median over methods is
    # the mixture in the usual set.
    mixture = rows.groupby("track")["mixture"].median()
    kind = np.where(kept["oracle"], "oracle", np.where(kept["published"], "published", "method"))
    return Panel(
        stem=stem,
        rows=kept.assign(kind=kind),
        values=shown,
        figures={label: figures[label] for label in order},
        intervals=dict(zip(order, intervals([*shown.values()], over_tracks), strict=True)),
        tracks={label: int(tracks[label]) for label in order},
        left_out=len(figures) - len(order),
        oracles=sum(label in oracles for label in order),
        floor=reduce(over_tracks, mixture.to_numpy(dtype=float)),
        ceiling=max((figures[x] for x in oracles), key=protocol.goodness, default=math.nan),
    )


def _in_lines(name: str) -> str:
    """Break a long name into two lines, where an option ends nearest to its middle."""
    if len(name) <= MOST_LETTERS:
        return name
    ends = [index + 1 for index, letter in enumerate(name[:-1]) if letter in ",[ ("]
    middle = len(name) / 2
    cut = min(ends or [len(name) // 2], key=lambda end: abs(end - middle))
    return f"{name[:cut].rstrip()}\n{name[cut:]}"
