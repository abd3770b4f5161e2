"""Reads scores that museval has computed and written as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sepbench._util.walk import files as files_in
from sepbench._util.walk import walk
from sepbench.errors import SepbenchError
from sepbench.evaluation.store import MUSEVAL_METRICS, Record, StemResult, Store
from sepbench.stems import in_order, stem_of


def import_museval(path: Path, store: Store, *, name: str) -> list[Record]:
    """Take museval's scores into a run as those of a method called ``name``; return the records.

    ``path`` is one track's JSON file, named as the track, or a folder of them as museval writes
    it (``test/<track>.json``). The scores of the mixture are taken from the run where it has them.
    Raises `SepbenchError` for what is not museval's.
    """
    files = (
        [file for folder in walk(path) for file in files_in(folder, {".json"})]
        if path.is_dir()
        else [path]
    )
    if not files:
        raise SepbenchError(f"{path}: no JSON files of museval in this folder")
    if name in {record.label for record in store.records() if "method" in record.identity}:
        raise SepbenchError(
            f"{store.folder} has scores of its own method {name!r}; import them by another NAME"
        )
    known = _mixtures(store)
    records = [_record(file, store, name, known) for file in files]
    for record in records:
        store.save(record)
    return records


def _record(file: Path, store: Store, name: str, known: Mapping[Any, StemResult]) -> Record:
    try:
        text = file.read_bytes()
        by_name = {str(t["name"]): t["frames"] for t in json.loads(text)["targets"]}
        by_stem = {stem_of(name): rows for name, rows in by_name.items()}
        frames = {stem: _scores(rows) for stem, rows in by_stem.items() if stem is not None}
    except OSError as error:
        raise SepbenchError(f"{file}: cannot read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SepbenchError(f"{file}: not a JSON file that museval has written") from None
    if not frames:
        raise SepbenchError(f"{file}: no stem that sepbench knows among {', '.join(by_name)}")
    targets = tuple(in_order(frames))
    subset = file.parent.name if file.parent.name in ("train", "test") else store.settings.subset
    digest = hashlib.sha256(text).hexdigest()
    stems = {}
    for stem, scores in frames.items():
        mixture = known.get((file.stem, stem))
        result = StemResult(targets=targets, frames=scores, totals={})
        stems[stem] = result if mixture is None else _beside(result, mixture)
    return Record(
        dataset=store.settings.dataset,
        subset=subset,
        track=file.stem,
        label=name,
        method=name,
        options={},
        fingerprint=digest,
        identity={"imported": digest},
        stems=stems,
        notes=("scores computed by museval",),
    )


def _scores(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {m: [float(row["metrics"][m]) for row in rows] for m in MUSEVAL_METRICS}


def _mixtures(store: Store) -> dict[tuple[str, str], StemResult]:
    """Return results of the run that hold the mixture's scores, by track and stem."""
    return {
        (record.track, stem): result
        for record in store.records()
        for stem, result in record.stems.items()
        if result.mixture_frames
    }


def _beside(result: StemResult, other: StemResult) -> StemResult:
    """Add the mixture's scores where their windows are the same in number."""
    count = len(result.frames["SDR"])
    fitting = {m: f for m, f in other.mixture_frames.items() if len(f) == count}
    return replace(result, mixture_frames=fitting)
