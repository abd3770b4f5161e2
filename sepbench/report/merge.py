"""Merges the scores of several runs as far as they are comparable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sepbench._util.text import counted, listed
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record, sort_key
from sepbench.evaluation.store import Settings, Store
from sepbench.metrics.protocols import shown
from sepbench.report.joining import run_names, separated

WITHIN_A_SET = ("ISR", "SIR", "SAR", "SI-SIR", "SI-SAR", "level", "sum")
"""Scores that depend on the other stems of the target set, and so are comparable only within it.

The last two are of the sum of all stems of the set: `level`, and one of `loudness`.
"""


@dataclass(frozen=True)
class Merged:
    """Records of all runs on common tracks, and remarks on everything left out.

    ``records`` have labels that are unique over the runs; ``origin`` names the run of each label.
    ``are_parts``: the runs are parts of one, and all of their tracks are kept.
    """

    records: list[Record]
    origin: dict[str, str]
    remarks: list[str]
    are_parts: bool = False


def contents(folder: Path) -> tuple[Settings, list[Record], list[str]]:
    """Return the settings and records of a run, and remarks on unreadable files."""
    store = Store.open(folder)
    found, damaged = store.contents()
    records, said = separated(found)
    if not records:
        raise SepbenchError(f"{folder}: no scores yet; 'sepbench evaluate' makes them")
    return store.settings, records, [*said, *(f"{path}: damaged, left out" for path in damaged)]


def merge(folders: Sequence[Path], *, parts: bool = False) -> Merged:
    """Return the records of ``folders`` on their common tracks.

    Tracks are equal if their names and subsets are, and the digests of their audio if both runs
    have them. Runs without a common track are joined if they are ``parts`` of one run. Raises
    `SepbenchError` if runs share no track otherwise.
    """
    names = run_names(folders)
    runs: dict[str, list[Record]] = {}
    settings: dict[str, Settings] = {}
    remarks: list[str] = []
    for name, folder in zip(names, folders, strict=True):
        if parts and len(folders) > 1 and not Store.open(folder).records():
            remarks.append(f"{folder}: no scores yet, left out")
            continue
        settings[name], runs[name], said = contents(folder)
        remarks += said
    if not runs:
        raise SepbenchError(f"{folders[0]}: no scores yet, nor in the other runs")
    shared, said = _shared_tracks(runs)
    if not shared and parts and _are_parts(runs, [*settings.values()]):
        return _as_one(runs, remarks)
    remarks += said
    if not shared:
        raise SepbenchError(_nothing_shared(settings))
    kept = {
        name: [record for record in records if record.song in shared]
        for name, records in runs.items()
    }
    renamed, origin = _unique_labels(kept)
    return Merged(renamed, origin, remarks)


def of_same_audio(*runs: Sequence[Record]) -> tuple[list[Record], ...]:
    """Return the records of each run without the tracks whose audio differs between runs."""
    digests: dict[tuple[str, str], set[Any]] = {}
    for record in chain.from_iterable(runs):
        if (digest := record.identity.get("audio")) is not None:
            digests.setdefault(record.song, set()).add(digest)
    return tuple(
        [record for record in run if len(digests.get(record.song, ())) < 2] for run in runs
    )


def in_one_set(records: Sequence[Record], stem: str, metric: str) -> tuple[list[Record], list[str]]:
    """Return the records with comparable scores of ``stem``, and remarks on target sets.

    If methods were scored within different target sets, windows unused in one set are dropped from
    all; of scores that depend on the set, only those of the most frequent set are kept. Other
    scores of whole tracks are the same in every set.
    """
    sets: dict[str, set[str]] = {}
    for record in records:
        if stem in record.stems:
            sets.setdefault(record.stems[stem].set, set()).add(record.label)
    if len(sets) < 2:
        return list(records), []
    named = "; ".join(f"{', '.join(sorted(labels))} within {name}" for name, labels in sets.items())
    if metric in WITHIN_A_SET:
        usual = max(sets, key=lambda name: (len(sets[name]), name))
        lost: Counter[str] = Counter()
        kept = []
        for record in records:
            is_of_another = stem in record.stems and record.stems[stem].set != usual
            lost[record.label] += is_of_another
            kept.append(_without(record, stem) if is_of_another else record)
        gone = [f"{label} ({counted(lost[label], 'track')})" for label in sorted(+lost)]
        return kept, [
            f"{stem}: {metric} depends on the set of stems, so only scores within {usual} are "
            f"compared; left out: {', '.join(gone)}"
        ]
    if not any(_frames(record, stem, metric) for record in records):
        return list(records), []
    said = f"{stem}: scored in different sets ({named}); compared in their common windows"
    return _common_windows(records, stem, metric), [said]


def _without(record: Record, stem: str) -> Record:
    others = {name: result for name, result in record.stems.items() if name != stem}
    return replace(record, stems=others)


def _common_windows(records: Sequence[Record], stem: str, metric: str) -> list[Record]:
    usable: dict[tuple[str, str], np.ndarray] = {}
    for record in records:
        for scores in _frames(record, stem, metric).values():
            finite = np.isfinite(scores)
            known = usable.get(record.song, finite)
            if len(known) == len(finite):
                usable[record.song] = known & finite
    masked = []
    for record in records:
        for name, scores in _frames(record, stem, metric).items():
            common = usable[record.song]
            if len(common) == len(scores):
                result = record.stems[stem]
                frames = {**result.frames, name: np.where(common, scores, np.nan).tolist()}
                stems = {**record.stems, stem: replace(result, frames=frames)}
                record = replace(record, stems=stems)
        masked.append(record)
    return masked


def _frames(record: Record, stem: str, metric: str) -> dict[str, list[float]]:
    """Return the scores of each window by their id, of which there is at most one."""
    result = record.stems.get(stem)
    frames = {} if result is None else result.frames
    return {name: scores for name, scores in frames.items() if shown(name) == metric}


def _shared_tracks(
    runs: dict[str, list[Record]],
) -> tuple[set[tuple[str, str]], list[str]]:
    tracks = {name: {record.song for record in records} for name, records in runs.items()}
    shared = set.intersection(*tracks.values())
    remarks = []
    same = of_same_audio(*runs.values())
    other_audio = shared - {record.song for records in same for record in records}
    if other_audio:
        named = listed(sorted(name for _, name in other_audio))
        remarks.append(f"left out, as the audio differs between runs: {named}")
    fewest = min(len(names) for names in tracks.values())
    most = max(len(names) for names in tracks.values())
    if len(shared) < most or len(shared) < fewest:
        remarks.append(f"reduced to the {len(shared)} tracks common to all runs, of up to {most}")
    return shared - other_audio, remarks


def _are_parts(runs: dict[str, list[Record]], settings: Sequence[Settings]) -> bool:
    """Return whether runs are of the same settings and audio, and have no cell in common."""
    cells = [(record.label, *record.song) for records in runs.values() for record in records]
    same = of_same_audio(*runs.values())
    return (
        all(settings[0].fits(other) for other in settings)
        and len(set(cells)) == len(cells)
        and sum(map(len, same)) == len(cells)
    )


def _as_one(runs: dict[str, list[Record]], remarks: Sequence[str]) -> Merged:
    """Return the records of the parts of one run."""
    records, said = separated([record for found in runs.values() for record in found])
    origin = {record.label: ", ".join(runs) for record in records}
    return Merged(sorted(records, key=sort_key), origin, [*remarks, *said], are_parts=True)


def _nothing_shared(settings: dict[str, Settings]) -> str:
    kinds = "; ".join(f"{name} is of {own.default_name}" for name, own in settings.items())
    return (
        f"these runs cannot be compared, as they have no common track with the same audio: {kinds}"
    )


def _unique_labels(runs: dict[str, list[Record]]) -> tuple[list[Record], dict[str, str]]:
    """Rename methods with different results in several runs; keep equal ones once."""
    holders: dict[str, list[str]] = {}
    for name, records in runs.items():
        for label in dict.fromkeys(record.label for record in records):
            holders.setdefault(label, []).append(name)
    records, origin = [], {}
    for label, names in holders.items():
        of_runs = {name: [r for r in runs[name] if r.label == label] for name in names}
        prints = [
            frozenset((r.song, r.fingerprint, r.error) for r in found) for found in of_runs.values()
        ]
        if len(set(prints)) == 1:
            of_runs = {names[0]: of_runs[names[0]]}
        for name, found in of_runs.items():
            new = f"{label} ({name})" if len(of_runs) > 1 else label
            origin[new] = ", ".join(names) if len(of_runs) == 1 else name
            records += [replace(record, label=new) for record in found]
    return records, origin
