"""The caption of a boxplot: metric, data, protocol, and missing scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import pandas as pd

from sepbench._util.text import counted
from sepbench.metrics.protocols import Protocol
from sepbench.report import published

DAGGER = "†"

DOUBLE_DAGGER = "‡"
"""Mark of methods that are not ranked."""

POINTS_UP_TO = 20
"""Number of tracks up to which points are drawn over boxes."""


def songs(rows: pd.DataFrame) -> pd.Series[int]:
    """Return a number for the song of each row: those of two subsets may have one name.

    In the order of subsets and names.
    """
    return rows.groupby(["subset", "track"], dropna=False).ngroup()


def caption(
    scores: pd.DataFrame, run: pd.DataFrame, *, protocol: Protocol, metric: str, boxes: bool
) -> Iterator[str]:
    """Yield the sentences below a boxplot.

    ``scores`` are the drawn rows, ``run`` all rows of the run, including failures and tracks
    without a score; ``boxes`` is false if each track is drawn as a point.
    """
    scores, run = (rows.assign(song=songs(rows)) for rows in (scores, run))
    own = scores[~scores["published"]]
    failures = run[run["error"].notna() & run["error"].ne("")]
    ours = run[~run["published"]]
    tracks = list((ours if len(ours) else run).drop_duplicates("song")["track"])
    unit = f" in {protocol.unit}" if protocol.unit else ""
    better = "" if protocol.higher_is_better else f"; {protocol.better}"
    yield f"{metric}{unit}, protocol {protocol.id}: {protocol.caption}{better}."
    yield f"Data set {_data_set(own, scores)}: {counted(len(tracks), 'track')}{_named(tracks)}."
    yield _marks(boxes, scores["song"].nunique(), protocol)
    if scores["mixture"].notna().any():
        yield "Dashed line: the unprocessed mixture in the stem's place (floor)."
    if scores["oracle"].any():
        yield (
            "Shaded rows: oracles, which use the true stems; "
            "dotted line: the best of them (ceiling)."
        )
    # Tracks without any used window are not drawn, but count.
    yield from _windows(ours[ours["protocol"].eq(protocol.id) & ours["metric"].eq(metric)])
    yield from _sets(own)
    yield _failed(failures, len(tracks))
    yield from _without_score(own, failures, len(tracks))
    if scores["trained_on_this"].any():
        yield f"{DAGGER} trained on tracks of this very set: not comparable."
    if scores["published"].any():
        yield published.caption(*own["dataset"].unique())


def _data_set(own: pd.DataFrame, scores: pd.DataFrame) -> str:
    rows = (own if len(own) else scores)[["dataset", "subset"]].drop_duplicates()
    named = []
    for name, subsets in rows.groupby("dataset", sort=False)["subset"]:
        others = [str(subset) for subset in subsets if subset != name]
        word = "subset" if len(others) == 1 else "subsets"
        named.append(f"{name}, {word} {' and '.join(others)}" if others else str(name))
    return "; ".join(named)


def _named(tracks: Sequence[str]) -> str:
    return f" ({tracks[0]})" if len(tracks) == 1 else ""


def _marks(boxes: bool, most: int, protocol: Protocol) -> str:
    if not boxes:
        if most == 1:
            return "One track: points; the line from the mixture is the improvement."
        stroke = f"One point per track; vertical stroke: their {protocol.over_tracks[0]}"
        return f"{stroke}; {_interval(protocol)}"
    dots = "dots: tracks" if most <= POINTS_UP_TO else "circles: tracks beyond the whiskers"
    mean = "; diamond: mean" if protocol.over_tracks[0] == "mean" else ""
    return (
        f"Box: the middle half of the tracks with their median{mean}; whiskers: the farthest "
        f"track within 1.5 box lengths; {dots}; arrows: tracks beyond the axis; "
        f"{_interval(protocol)}"
    )


def _interval(protocol: Protocol) -> str:
    statistic = protocol.over_tracks[0]
    return f"orange bar below: 95 % interval of the {statistic} over tracks."


def _windows(own: pd.DataFrame) -> Iterator[str]:
    rows = own[own["frames_used"].notna() & (own["frames"] > 1)]
    if rows.empty:
        return
    used = rows["frames"] * rows["frames_used"]
    sums = used.groupby(rows["set"]).sum() / rows.groupby("set")["frames"].sum()
    shares = "; ".join(f"{share:.0%} ({name})" for name, share in sums.items())
    yield f"Share of used windows, in which no stem of the set is silent: {shares}."


def _sets(own: pd.DataFrame) -> Iterator[str]:
    for stem, rows in own.groupby("stem", sort=False):
        sets = rows.groupby("set")["label"].unique()
        if len(sets) > 1:
            usual = max(sets.index, key=lambda name: len(sets[name]))
            others = "; ".join(
                f"{', '.join(sorted(labels))} within {name}"
                for name, labels in sets.items()
                if name != usual
            )
            yield f"{str(stem).capitalize()} scored within {usual}, but {others}."


def _failed(failures: pd.DataFrame, tracks: int) -> str:
    counts = failures.groupby("label")["song"].nunique()
    if counts.empty:
        return "No method failed on any track."
    shown = ", ".join(f"{label} {count} of {tracks}" for label, count in counts.items())
    return f"Tracks on which a method failed: {shown}."


def _without_score(own: pd.DataFrame, failures: pd.DataFrame, tracks: int) -> Iterator[str]:
    """Yield a sentence on tracks that ran but have no score: a silent stem, for example."""
    failed = failures.groupby("label")["song"].nunique()
    having = own.groupby(["stem", "label"], sort=False)["song"].nunique()
    missing: dict[str, list[str]] = {}
    for (stem, label), count in cast("Iterable[tuple[tuple[str, str], int]]", having.items()):
        lacking = tracks - int(failed.get(label, 0)) - count
        if lacking > 0:
            missing.setdefault(f"{stem} {lacking}", []).append(label)
    if missing:
        shown = "; ".join(f"{what} ({', '.join(labels)})" for what, labels in missing.items())
        yield f"Tracks without a score, such as those with a silent stem: {shown}."
