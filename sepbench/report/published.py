"""The published scores of the 31 systems of SiSEC 2018.

The figures are the medians over windows of every system, track and stem of the campaign's own
museval results (Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", 2018),
on the test set of MUSDB18.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Any

import pandas as pd

from sepbench._util.text import listed

MUSDB18 = ("musdb18", "musdb18-hq")
"""Data sets with the songs of the campaign; the second is the same songs before AAC coding."""

METRICS = ("SDR", "ISR", "SIR", "SAR")
PROTOCOL = "sisec18"
ORACLES = ("IBM1", "IBM2", "IRM1", "IRM2", "MWF")


def published_rows(scores: pd.DataFrame, *, whole_tracks: bool) -> tuple[pd.DataFrame, list[str]]:
    """Return the campaign's scores as rows like ``scores``, or the reasons why they do not apply.

    Rows are those of the tracks, stems and metrics that ``scores`` has under protocol `PROTOCOL`,
    with ``published`` true and without scores of the mixture. ``whole_tracks`` is false if only an
    extract of each track was evaluated. The reasons are sentences without full stop, and empty if
    and only if there are rows.
    """
    reasons = list(_obstacles(scores, whole_tracks))
    if reasons:
        return scores.iloc[:0].copy(), reasons
    ours = scores[(scores["protocol"] == PROTOCOL) & scores["value"].notna()]
    figures = campaign()
    wanted = figures.melt(
        id_vars=["method", "track", "stem", "frames"],
        value_vars=[metric for metric in METRICS if metric in set(ours["metric"])],
        var_name="metric",
    )
    wanted = wanted[wanted["track"].isin(ours["track"]) & wanted["stem"].isin(ours["stem"])]
    note = "SiSEC18" if set(scores["dataset"]) == {"musdb18"} else "SiSEC18, MUSDB18"
    facts: dict[str, Any] = {
        "dataset": "musdb18",
        "subset": "test",
        "label": [f"{_system(name)} ({note})" for name in wanted["method"]],
        "options": "",
        "oracle": wanted["method"].isin(ORACLES),
        "trained_on_this": False,
        "published": True,
        "set": _sets(wanted, figures),
        "protocol": PROTOCOL,
        "error": "",
    }
    return wanted.assign(**facts).reindex(columns=scores.columns).reset_index(drop=True), []


def campaign() -> pd.DataFrame:
    """Return the included table: method, stem, track, frames, SDR, ISR, SIR, SAR."""
    file = resources.files("sepbench.report") / "data" / "sisec18.csv.gz"
    with file.open("rb") as stream:
        return pd.read_csv(stream, compression="gzip")


def caption(*datasets: str) -> str:
    """Return notes on published rows in a table of ``datasets``."""
    text = "Published: SiSEC 2018 campaign, scores of MUSDB18's test set, not run again."
    if "musdb18-hq" in datasets:
        text += (
            " It was scored on MUSDB18 (AAC, up to 16 kHz), this run on MUSDB18-HQ: "
            "the same songs, not the same samples."
        )
    return text


def _obstacles(scores: pd.DataFrame, whole_tracks: bool) -> Iterable[str]:
    ours = "published SiSEC18 scores are"
    foreign = _quoted(sorted(set(scores["dataset"].dropna()) - set(MUSDB18)))
    if scores.empty:
        yield "published SiSEC18 scores are shown only with scores; this run has none"
        return
    if foreign:
        yield f"{ours} of musdb18's test set; this run is of the data set {foreign}"
        return
    subsets = _quoted(sorted(set(scores["subset"].dropna()) - {"test"}))
    if subsets:
        yield f"{ours} of musdb18's subset 'test'; this run is of the subset {subsets}"
        return
    if not whole_tracks:
        yield f"{ours} of whole songs; this run is of an extract of each"
    protocols = set(scores.loc[scores["value"].notna(), "protocol"].dropna())
    if PROTOCOL not in protocols:
        others = _quoted(sorted(protocols)) or "without a score"
        yield f"{ours} of the protocol '{PROTOCOL}'; this run is {others}"
    unknown = sorted(set(scores["track"].dropna()) - set(campaign()["track"]))
    if unknown:
        yield f"{ours} of the 50 songs of musdb18's test set; not among them: {_quoted(unknown)}"


def _system(method: str) -> str:
    # The campaign's baseline uses a quarter of the mixture for each of four stems.
    return "MIX: mixture/4" if method == "MIX" else method


def _sets(wanted: pd.DataFrame, figures: pd.DataFrame) -> list[str]:
    """Return museval's target set: vocals and accompaniment if there is an accompaniment."""
    with_accompaniment = set(figures.loc[figures["stem"] == "accompaniment", "method"])
    return [
        "vocals+accompaniment"
        if method in with_accompaniment and stem in ("vocals", "accompaniment")
        else "vocals+drums+bass+other"
        for method, stem in zip(wanted["method"], wanted["stem"], strict=True)
    ]


def _quoted(names: Iterable[str]) -> str:
    return listed(f"'{name}'" for name in names)
