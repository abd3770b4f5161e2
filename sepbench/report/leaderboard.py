"""Merges runs of several people in one table, with provenance."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record
from sepbench.metrics.protocols import shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report import tables
from sepbench.report.diff import flat
from sepbench.report.grid import Grid, grid
from sepbench.report.merge import in_one_set, merge
from sepbench.report.scored import of_metric, scored
from sepbench.stems import in_order

DIGEST = re.compile("[0-9a-f]{64}")
MEMBER = re.compile(r"(members\.\d+\.)+")
"""Where the facts of a member of an ensemble or a chain are in a flat identity."""

WEIGHTS = 12
"""Number of hex digits of a weight file's digest that are shown."""


@dataclass(frozen=True)
class Leaderboard:
    """The merged table with provenance, and remarks on everything left out."""

    grid: Grid
    remarks: list[str]


def leaderboard(
    folders: Sequence[Path], *, protocol: str, metric: str | None = None
) -> Leaderboard:
    """Merge the runs in ``folders``; raise `SepbenchError` where they cannot be compared."""
    merged = merge(folders)
    records, remarks = merged.records, list(merged.remarks)
    name = metric or shown(find_protocol(protocol).metrics[0])
    for stem in in_order(name for record in records for name in record.stems):
        records, said = in_one_set(records, stem, name)
        remarks += said
    tracks = [scored(_of_metric(record, name)) for record in records]
    table = grid(tables.score_table(tracks), tables.summary_table(tracks), protocol, metric)
    if not table.rows:
        raise SepbenchError(f"no score of protocol {protocol} in these runs; choose another")
    of_label: dict[str, list[Record]] = {}
    for record in records:
        of_label.setdefault(record.label, []).append(record)
    rows = [
        replace(row, provenance=_provenance(of_label[row.label], merged.origin[row.label]))
        for row in table.rows
    ]
    return Leaderboard(replace(table, rows=rows), remarks)


def _of_metric(record: Record, metric: str) -> Record:
    """Return a record with one metric alone, or all if it lacks that: the table names such."""
    only = of_metric(record, metric)
    return only if any(one.frames or one.totals for one in only.stems.values()) else record


def _provenance(records: Sequence[Record], origin: str) -> dict[str, str]:
    """Return run, version, device, weights and the number of failures of a method."""
    facts = flat(records[0].identity)
    failed = sum(record.error is not None for record in records)
    return {
        "run": origin,
        "sepbench": facts.get("sepbench", "imported"),
        "device": facts.get("device", ""),
        "weights": _weights(facts),
        "failed": str(failed),
    }


def _weights(facts: Mapping[str, str]) -> str:
    """Return the digests of a method's weights; those of a member stand after its name."""
    shown = []
    for key, value in facts.items():
        digests = [text[:WEIGHTS] for text in value.split(", ") if DIGEST.fullmatch(text)]
        if digests and key.partition(".")[0] not in ("audio", "estimates"):
            member = MEMBER.match(key)
            name = [facts.get(f"{member[0]}method", "?")] if member else []
            shown.append(" ".join([*name, *digests]))
    return ", ".join(dict.fromkeys(shown))
