"""Report cards: mean and standard deviation over tracks of all scores of a protocol.

The layout is nussl's: one row per score, a column for all stems and one for each stem.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from sepbench.registry.metrics import protocol as find_protocol
from sepbench.stems import in_order

OVERALL = "overall"
"""The column of all stems together."""

_PADDING = (0, 2)


def card(scores: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """Return a row for each method, score and stem with ``mean``, ``std`` and ``count``.

    ``scores`` are rows as in ``scores.csv``; where the best is 0, absolute values count. A name
    with a trailing ``i`` is the improvement over the mixture. ``std`` is the sample standard
    deviation, NaN for a single track. The protocol is kept in ``attrs`` for `table`.
    """
    rules = find_protocol(protocol)
    rows = scores[scores["protocol"].eq(protocol) & scores["stem"].notna()]
    gains = rows[rows["improvement"].notna()]
    gains = gains.assign(metric=gains["metric"] + "i", value=gains["improvement"])
    values = pd.to_numeric(rows["value"])
    is_signed = rows["metric"].map(lambda name: rules.of(name).higher_is_better is None)
    rows = rows.assign(value=values.abs().where(is_signed.eq(True), values))
    both = pd.concat([rows, gains])[["label", "metric", "stem", "value"]]
    both = both[pd.to_numeric(both["value"]).abs() < float("inf")]
    all_stems = both.assign(stem=OVERALL)
    made = (
        pd.concat([all_stems, both])
        .astype({"value": float})
        .groupby(["label", "metric", "stem"], sort=False)["value"]
        .agg(["mean", "std", "count"])
        .reset_index()
    )
    names = {name: place for place, name in enumerate(dict.fromkeys(rows["metric"]))}
    order = made["metric"].map(lambda name: (names.get(name.removesuffix("i"), 0), len(name)))
    found = made.assign(order=order).sort_values(
        ["label", "order"], kind="stable", ignore_index=True
    )[["label", "metric", "stem", "mean", "std", "count"]]
    found.attrs["protocol"] = protocol
    return found


def has_card(protocol: str) -> bool:
    """Return whether a protocol has several scores of whole tracks."""
    rules = find_protocol(protocol)
    return rules.source == "totals" and len(rules.metrics) > 1


def table(rows: pd.DataFrame) -> Table:
    """Lay a card out for a terminal; ``rows`` are from `card`."""
    unit = find_protocol(rows.attrs["protocol"]).unit
    title = ", ".join(filter(None, ["mean ± standard deviation over tracks", unit]))
    found = Table(box=None, padding=_PADDING, title=escape(title))
    head, body = _cells(rows)
    for number, column in enumerate(head):
        found.add_column(escape(column), justify="left" if number < 2 else "right", no_wrap=True)
    for line in body:
        found.add_row(*map(escape, line))  # a method's options stand in brackets
    return found


def as_markdown(rows: pd.DataFrame) -> str:
    """Return a card as a table of Markdown."""
    head, body = _cells(rows)
    rule = ["---", "---", *["---:"] * (len(head) - 2)]
    lines = (f"| {' | '.join(line)} |" for line in [head, rule, *body])
    return "\n".join(lines) + "\n"


def as_csv(rows: pd.DataFrame) -> str:
    """Return a card as CSV, one row per method, score and stem."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.columns)
    writer.writerows(rows.itertuples(index=False))
    return text.getvalue()


def as_json(rows: pd.DataFrame) -> str:
    """Return a card as JSON, one object per method, score and stem; missing numbers are null."""
    return json.dumps(plain(rows), indent=1) + "\n"


def plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a card as plain values; missing numbers are None."""
    kept = rows.astype(object).where(rows.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in kept.to_dict(orient="records")]


FORMATS: dict[str, Callable[[pd.DataFrame], str]] = {
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
}
"""The formats of a card by name."""


def _cells(rows: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return heading and lines: one line per method and score, one column per stem."""
    stems = [OVERALL, *in_order(set(rows["stem"]) - {OVERALL})]
    body = []
    for (label, metric), group in rows.groupby(["label", "metric"], sort=False):
        of_stem = {row["stem"]: row for row in group.to_dict(orient="records")}
        cells = [_cell(of_stem[stem]) if stem in of_stem else "" for stem in stems]
        body.append([str(label), str(metric), *cells])
    return ["method", "score", *stems], body


def _cell(row: dict[Any, Any]) -> str:
    spread = "" if row["std"] != row["std"] else f" ± {row['std']:.2f}"
    return f"{row['mean']:.2f}{spread}"
