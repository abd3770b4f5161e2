"""The tables of a run for terminals: scores, then speed and memory."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from sepbench._util.text import three_digits
from sepbench.evaluation.store import Settings
from sepbench.metrics.protocols import PROTOCOLS, shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report.caption import DOUBLE_DAGGER
from sepbench.stems import in_order

_HEADINGS = {"accompaniment": "accom-\npaniment", "percussive": "percus-\nsive"}
# Compact, so that seven stems fit 80 columns.
_PADDING = (0, 1, 0, 0)


def heading(
    summary: pd.DataFrame,
    protocol: str,
    settings: Settings | Sequence[Settings],
    incomplete: Collection[str] = (),
    unequal: Collection[tuple[str, str]] = (),
) -> Iterator[str]:
    """Yield lines on metric, protocol and data sets, and the meaning of marks.

    ``settings`` are those of the run, or of each of several.
    """
    rules = find_protocol(protocol)
    rows = _chosen(summary, protocol)
    if rows.empty:
        known = sorted(set(summary["protocol"].dropna()))
        there = f"; it has {', '.join(known)}" if known else ""
        yield f"no scores of protocol {protocol} in this run{there}"
        return
    runs = [settings] if isinstance(settings, Settings) else settings
    names = dict.fromkeys(one.default_name for one in runs)
    yield f"{rules.measure}, protocol {protocol}, {' and '.join(names)}"
    yield rules.caption
    if rules.higher_is_better is not True:
        yield rules.better
    if rows["low"].notna().any():
        yield "below each score: its 95 % interval over tracks"
    if rows["oracle"].eq(True).any():
        yield "* oracle: a ceiling, made from the true stems"
    if rows["trained_on_this"].eq(True).any():
        yield "† trained on songs that are scored here"
    pairs = zip(rows["label"], rows["stem"], strict=True)
    if rows["label"].isin(incomplete).any() or any(pair in unequal for pair in pairs):
        yield f"{DOUBLE_DAGGER} not all tracks: not ranked with the others"
    yield from _sets(rows)


def unseen(summary: pd.DataFrame, protocol: str, folder: Path) -> Iterator[str]:
    """Yield how to see the metrics that have a protocol of their own, if there are any others."""
    names = sorted(set(summary["protocol"].dropna()) - {protocol, *PROTOCOLS})
    if names:
        command = f"sepbench report {folder} --protocol {names[0]}"
        yield f"scored too: {', '.join(names)}; shown by '{command}'"


def _sets(rows: pd.DataFrame) -> Iterator[str]:
    """Yield for each target set the stems scored within it."""
    by_set: dict[str, dict[str, None]] = {}
    for stem, name in rows[["stem", "set"]].dropna().itertuples(index=False):
        by_set.setdefault(str(name), {})[str(stem)] = None
    for name, stems in by_set.items():
        yield f"{', '.join(in_order(stems))}: scored within {name}"


def scores(
    summary: pd.DataFrame,
    protocol: str,
    incomplete: Collection[str] = (),
    unequal: Collection[tuple[str, str]] = (),
) -> Table:
    """Lay out the first metric of a protocol: one row per method, best vocals first.

    The best score of each stem is bold; oracles, ``incomplete`` methods, and methods and stems of
    ``unequal`` (see `sepbench.report.lacking`) do not compete, and the latter are marked. Below a
    score over two tracks or more is its 95 % interval.
    """
    rows = _chosen(summary, protocol)
    stems = in_order(rows["stem"].unique())
    table = Table(box=None, padding=_PADDING)
    table.add_column("method")
    for stem in stems:
        table.add_column(_HEADINGS.get(stem, stem), justify="right", no_wrap=True)
    good = rows["value"].map(find_protocol(protocol).goodness)
    rows = rows.assign(good=good)
    pairs = zip(rows["label"], rows["stem"], strict=True)
    rows = rows.assign(mark=[DOUBLE_DAGGER if pair in unequal else "" for pair in pairs])
    ranked = ~(rows["oracle"].eq(True) | rows["label"].isin(incomplete) | rows["mark"].ne(""))
    rows.loc[rows["label"].isin(incomplete), "mark"] = ""  # The method itself has it.
    best = rows[ranked].groupby("stem")["good"].max()
    for label, group in _best_first(rows, stems, incomplete):
        of_stems = {str(row["stem"]): row for _, row in group.iterrows()}
        cells = [
            _score(of_stems[stem], best=of_stems[stem]["good"] == best.get(stem))
            if stem in of_stems
            else ""
            for stem in stems
        ]
        table.add_row(_marked(label, group, incomplete), *cells)
    return table


def costs(summary: pd.DataFrame, protocol: str, incomplete: Collection[str] = ()) -> Table:
    """Lay out speed, memory and used windows: one row per method, as in `scores`."""
    rows = _chosen(summary, protocol)
    rows = rows.assign(good=rows["value"].map(find_protocol(protocol).goodness))
    table = Table(box=None, padding=_PADDING)
    table.add_column("method")
    for heading in ("tracks", "windows used", "times real time", "peak memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for label, group in _best_first(rows, in_order(rows["stem"].unique()), incomplete):
        first = group.iloc[0]
        speed = first["seconds_per_second"]
        table.add_row(
            _marked(label, group, incomplete),
            str(group["tracks"].max()),
            _used(group),
            "" if not speed > 0 else three_digits(1 / speed),
            "" if speed != speed else f"{first['peak_memory_mb']:.0f} MB",
        )
    return table


def failures(summary: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each method that failed on any track, with the first reason."""
    for _, row in summary[summary["failed"] > 0].drop_duplicates("label").iterrows():
        tracks = "1 track" if row["failed"] == 1 else f"{row['failed']} tracks"
        yield f"{row['label']} failed on {tracks}: {row['error']}"


def _chosen(summary: pd.DataFrame, protocol: str) -> pd.DataFrame:
    rules = find_protocol(protocol)
    return summary[
        (summary["protocol"] == protocol)
        & (summary["metric"] == shown(rules.metrics[0]))
        & (summary["statistic"] == rules.over_tracks[0])
    ]


def _used(group: pd.DataFrame) -> str:
    """Return the share of windows with a score, by stem if the stems differ."""
    shares: dict[str, list[str]] = {}
    for stem, share in zip(group["stem"], group["frames_used"], strict=True):
        if share == share:
            shares.setdefault(f"{share:.0%}", []).append(str(stem))
    if len(shares) < 2:
        return "".join(shares)
    most = max(shares, key=lambda share: len(shares[share]))
    few = [f"{', '.join(stems)} {share}" for share, stems in shares.items() if share != most]
    return "; ".join([most, *few])


def _best_first(
    rows: pd.DataFrame, stems: list[str], incomplete: Collection[str]
) -> list[tuple[str, pd.DataFrame]]:
    groups = [(str(label), group) for label, group in rows.groupby("label", sort=False)]

    def rank(item: tuple[str, pd.DataFrame]) -> list[float]:
        values = item[1].set_index("stem")["good"]
        known = [float(values.get(stem, math.nan)) for stem in stems]
        ranks = [math.inf if math.isnan(value) else -value for value in known]
        return [float(item[0] in incomplete), *ranks]

    return sorted(groups, key=rank)


def _score(row: pd.Series[Any], *, best: bool) -> str:
    text = "-" if math.isnan(row["value"]) else f"{row['value']:.2f}"
    text = f"[bold]{text}[/]" if best else f"{text}{row['mark']}"
    if math.isnan(row["low"]):
        return text
    return f"{text}\n[dim]{row['low']:.1f}..{row['high']:.1f}[/]"


def _marked(label: str, group: pd.DataFrame, incomplete: Collection[str]) -> str:
    first = group.iloc[0]
    marks = "*" * bool(first["oracle"]) + "†" * bool(first["trained_on_this"])
    marks += DOUBLE_DAGGER * (label in incomplete)
    return f"{escape(label)} {marks}" if marks else escape(label)
