"""Joins the scores of runs in one table: parts of a run are merged, other runs kept separate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record, fingerprint, sort_key
from sepbench.report.index import Index
from sepbench.report.scored import Scored

OnFile = Callable[[int, int], None]
"""Called with the number of read files and the total."""


def joined(
    indexes: Sequence[Index], on_file: OnFile = lambda done, total: None
) -> tuple[list[Scored], list[str]]:
    """Return the scores of runs, and remarks on mismatches and unreadable files.

    Records of one method in two runs are merged if they are of different tracks (parts of a run) or
    equal, a score before a failure; otherwise they get the names of their runs.
    """
    tracks: list[Scored] = []
    remarks: list[str] = []
    taken: dict[str, dict[tuple[str, str], str]] = {}
    first = indexes[0].store.settings
    names = run_names([index.store.folder for index in indexes])
    for index, name in zip(indexes, names, strict=True):
        index.update(on_file)
        found, damaged = index.contents()
        folder, settings = index.store.folder, index.store.settings
        if damaged and not found:
            raise SepbenchError(f"{damaged[0]}: damaged; 'sepbench evaluate' makes it again")
        if not found and len(indexes) == 1:
            raise SepbenchError(f"{folder}: no scores yet; 'sepbench evaluate' makes them")
        if not found:  # A run of more parts than cells has such.
            remarks.append(f"{folder}: no scores yet, left out")
        remarks += [f"{p}: damaged, left out; 'sepbench evaluate' makes it again" for p in damaged]
        if not first.fits(settings):
            remarks.append(
                f"{folder} is of {settings.shown}, {indexes[0].store.folder} of "
                f"{first.shown}: not the same songs"
            )
        tracks += _beside(found, taken, name)
    if not tracks:
        raise SepbenchError(f"{indexes[0].store.folder}: no scores yet, nor in the other runs")
    if len(indexes) > 1:  # Those of one run are in order.
        tracks = _each_once(tracks)
        tracks.sort(key=lambda one: sort_key(one.record))
    return tracks, remarks


def _each_once(tracks: Sequence[Scored]) -> list[Scored]:
    """Return one record for each method and song, the first with scores."""
    found: dict[tuple[str, tuple[str, str]], Scored] = {}
    for one in tracks:
        key = one.record.label, one.record.song
        if key not in found or (found[key].record.error and not one.record.error):
            found[key] = one
    return [*found.values()]


def run_names(folders: Sequence[Path]) -> list[str]:
    """Return a short name for each run: its folder's name, or its path if two names are equal."""
    short = [folder.resolve().name for folder in folders]
    if len(set(short)) == len(short):
        return short
    return [str(folder) for folder in folders]


def _beside(
    found: Sequence[Scored], taken: dict[str, dict[tuple[str, str], str]], run: str
) -> list[Scored]:
    """Return the rows of a run under the labels that they get, and add these to ``taken``."""
    there = {label: dict(made) for label, made in taken.items()}
    own: dict[str, dict[tuple[str, str], str]] = {}
    for one in found:
        record = one.record
        own.setdefault(record.label, {})[record.subset, record.track] = record.fingerprint
    names = {}
    for label, made in own.items():
        known = there.get(label, {})
        differs = any(known.get(track, mark) != mark for track, mark in made.items())
        names[label] = f"{label} ({run})" if differs else label
        taken.setdefault(names[label], {}).update(made)
    added = []
    for one in found:
        record = one.record
        label = names[record.label]
        is_new = label != record.label
        added.append(replace(one, record=replace(record, label=label)) if is_new else one)
    return added


def separated(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Rename rows of one label with different identities, with a remark.

    Overwritten weights, or another version of a plugin, must not be merged into one row. Facts of a
    single song (audio, estimates, metrics) are ignored.
    """
    kinds: dict[str, dict[str, str]] = {}
    keys: dict[int, str] = {}
    alike: dict[int, str] = {}  # Records of an index share identities.
    for record in records:
        if "method" in record.identity:
            key = alike.get(id(record.identity)) or fingerprint(record.fixed_identity)
            alike[id(record.identity)] = keys[id(record)] = key
            known = kinds.setdefault(record.label, {})
            known.setdefault(key, f"{record.label} ({len(known) + 1})")
    several = {label: names for label, names in kinds.items() if len(names) > 1}
    renamed = [
        replace(record, label=several[record.label][keys[id(record)]])
        if record.label in several and id(record) in keys
        else record
        for record in records
    ]
    return renamed, [
        f"{label}: made in {len(names)} ways (weights, version or device differ), shown as "
        f"{', '.join(names.values())}; evaluate all tracks again for one row"
        for label, names in several.items()
    ]
