"""Reads museval's JSON files of scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sepbench._util import json_text
from sepbench._util.text import same_name
from sepbench._util.walk import files as files_in
from sepbench._util.walk import walk
from sepbench.errors import SepbenchError
from sepbench.evaluation.museval_layout import MUSEVAL_METRICS
from sepbench.evaluation.record_file import Stamp
from sepbench.evaluation.records import Record, StemResult
from sepbench.evaluation.store import Settings, Store
from sepbench.stems import in_order, stem_of

_FOUR = itemgetter(*MUSEVAL_METRICS)
_Mixtures: TypeAlias = Mapping[tuple[str, str, str], StemResult]


def museval_files(path: Path) -> list[Path]:
    """Return the JSON files at a path; raise `SepbenchError` if there are none."""
    if not path.is_dir():
        return [path]
    found = [file for folder in walk(path) for file in files_in(folder, {".json"})]
    if not found:
        raise SepbenchError(f"{path}: no JSON files of museval in this folder")
    return found


def check_museval(file: Path) -> None:
    """Raise `SepbenchError` for a file that is not one of museval's scores."""
    _record(file, Settings("imported", "test"), "", {})


def import_museval(
    systems: Mapping[str, Sequence[Path]], store: Store
) -> Iterator[tuple[Record, Stamp]]:
    """Take museval's scores into a run as those of methods called by name.

    Yields each record that is kept, and the stamp of its file. ``systems`` has the files of each
    method, see `museval_files`; a file is named as its track. The scores of the mixture are taken
    from the run where it has them. Raises `SepbenchError` for what is not museval's; what came
    before it is kept.
    """
    before = store.records()
    own = {record.label for record in before if "method" in record.identity}
    for name in systems:
        if name in own:
            raise SepbenchError(
                f"{store.folder} has scores of its own method {name!r}; import them by another NAME"
            )
    mixtures, settings = _mixtures(before), store.settings
    for name, files in systems.items():
        seen: dict[tuple[str, str], Path] = {}
        for file in files:
            text, record = _record(file, settings, name, mixtures)
            first = seen.setdefault(record.song, file)
            if first != file:
                raise SepbenchError(f"{first} and {file} are of one track of {name}; keep one")
            yield record, store.save(record, museval=text)


def _record(
    file: Path, settings: Settings, name: str, known: _Mixtures
) -> tuple[str | None, Record]:
    """Return the scores in a file, and its text where that is museval's and nothing else."""
    try:
        content = file.read_bytes()
        text = content.decode(json.detect_encoding(content))
        plain = json_text.loads(content)
        names = [target["name"] for target in plain["targets"]]
        of_stems = [stem for stem in map(stem_of, names) if stem is not None]
        frames = {
            stem: _scores(target["frames"])
            for target in plain["targets"]
            if (stem := stem_of(target["name"])) is not None
        }
        windows = next(filter(None, map(_other_windows, plain["targets"])), "")
    except OSError as error:
        raise SepbenchError(f"{file}: cannot read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SepbenchError(f"{file}: not a JSON file of museval") from None
    if windows:
        raise SepbenchError(
            f"{file}: scores of {windows}, where those of a run are of 1 s each; "
            "let museval score again with win=1 and hop=1"
        )
    if not frames:
        raise SepbenchError(f"{file}: no known stem among {', '.join(names)}")
    if len(of_stems) > len(frames):
        raise SepbenchError(f"{file}: a stem has two lists of scores; keep one")
    subset = file.parent.name if file.parent.name in ("train", "test") else settings.subset
    digest = hashlib.sha256(content).hexdigest()
    stems = {}
    for stem, scores in frames.items():
        mixture = known.get((subset, same_name(file.stem), stem))
        result = StemResult(targets=_targets(stem, list(frames)), frames=scores, totals={})
        stems[stem] = result if mixture is None else _beside(result, mixture)
    record = Record(
        dataset=settings.dataset,
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
    return (text if plain.keys() == {"targets"} else None), record


def _targets(stem: str, stems: Sequence[str]) -> tuple[str, ...]:
    """Return the set in which museval's ``eval_mus_track`` scores a stem.

    An accompaniment forms a set with the vocals; the vocals are also part of the set of the other
    stems.
    """
    pair = ("vocals", "accompaniment")
    if stem in pair and all(name in stems for name in pair):
        return pair
    return tuple(name for name in in_order(stems) if name != "accompaniment" or name == stem)


def _other_windows(target: Mapping[str, Any]) -> str:
    """Return how long the windows of a stem are or how far apart, empty if both are a second."""
    rows = target["frames"]
    lengths = {row.get("duration", 1) for row in rows} - {1}
    if lengths:
        return f"windows of {min(lengths, key=str)} s"
    times = [row.get("time", index) for index, row in enumerate(rows[:2])]
    step = 1 if len(times) < 2 else times[1] - times[0]
    return "" if step == 1 else f"windows that are {step} s apart"


def _scores(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    scores = [_FOUR(row["metrics"]) for row in rows]
    if not set(map(type, chain.from_iterable(scores))) <= {float, int, type(None)}:
        raise ValueError(rows)
    table = np.array(scores, dtype=float).reshape(-1, len(MUSEVAL_METRICS))
    return dict(zip(MUSEVAL_METRICS, table.T.tolist(), strict=True))


def _mixtures(records: Sequence[Record]) -> _Mixtures:
    """Return results of the run with scores of the mixture, by subset, track and stem."""
    return {
        (record.subset, same_name(record.track), stem): result
        for record in records
        for stem, result in record.stems.items()
        if result.mixture_frames
    }


def _beside(result: StemResult, other: StemResult) -> StemResult:
    """Add the mixture's scores if they have the same number of windows."""
    count = len(result.frames["SDR"])
    fitting = {
        metric: frames
        for metric, frames in other.mixture_frames.items()
        if len(frames) == count and (metric == "SDR" or result.targets == other.targets)
    }
    return replace(result, mixture_frames=fitting)
