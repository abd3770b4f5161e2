"""The file of a record: museval's layout, followed by the record and its digest.

museval reads only ``targets`` and sepbench only ``sepbench``, whose sha256 is ``sha256``::

    {"targets": [{"name": "vocals", "frames": [...]}],
    "sepbench": {"dataset": "excerpt", ...},
    "sha256": "..."}

A file whose digest differs from its record was changed, and counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from sepbench._util import json_text
from sepbench._util.plain import is_number
from sepbench.evaluation.museval_layout import museval_frames
from sepbench.evaluation.records import Record, StemResult

Stamp: TypeAlias = str
"""Differs whenever a file does: its times, its size, and its number in the file system.

A file that is replaced has another number, even if both are written within one tick of the clock.
"""

_OURS = ',\n"sepbench": '
"""Text before the record; the record follows the last one, because it has no line break."""

_DIGEST = ',\n"sha256": '
"""Text before the record's digest."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file of this status."""
    return f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_size} {status.st_ino}"


def dumps(record: Record, museval: str | None = None) -> str:
    """Return the text of a record's file.

    ``museval`` is the text of museval's file that the record was read from, if it was.
    """
    # `asdict` copies every number, which is too slow for the scores of a whole campaign.
    plain = {**vars(record), "stems": {name: vars(stem) for name, stem in record.stems.items()}}
    theirs = _targets(record) if museval is None else museval.rstrip()[:-1].rstrip()
    # orjson has no infinity, the score of an estimate without an error.
    ours = json.dumps(plain) if _has_infinity(record) else json_text.dumps(plain)
    return f'{theirs}{_OURS}{ours}{_DIGEST}"{_sha256(ours)}"}}\n'


def _has_infinity(record: Record) -> bool:
    results = record.stems.values()
    series = [v for r in results for v in (*r.frames.values(), *r.mixture_frames.values())]
    series += [list(t.values()) for r in results for t in (r.totals, r.mixture_totals)]
    return any(math.inf in values or -math.inf in values for values in series)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _targets(record: Record) -> str:
    """Return the scores as museval's file has them, up to its last brace."""
    targets = [
        {"name": name, "frames": museval_frames(result.frames)}
        for name, result in record.stems.items()
    ]
    return f'{{"targets": {json.dumps(targets)}'


def read(path: Path) -> Record | None:
    """Return the record in a file of a store, None if it is absent, unreadable or changed."""
    try:
        text = path.read_text(encoding="utf-8")
        _, mark, ours = text.rpartition(_OURS)
        ours, known, digest = ours.partition(_DIGEST)
        if known and digest.strip() != f'"{_sha256(ours)}"}}':
            return None
        if mark and not known:  # Written before 0.2.0.
            ours = ours.rstrip()[:-1]
        plain = json_text.loads(ours.encode()) if mark else _reformatted(json.loads(text))
        if plain["error"] is not None and not known:
            plain["error"] = _bare(plain["error"], plain["label"], plain["method"])
        stems = {name: _stem_result(result) for name, result in plain.pop("stems").items()}
        costs = {key: _number(plain[key]) for key in ("seconds", "audio_seconds", "peak_bytes")}
        return Record(**{**plain, **costs, "stems": stems, "notes": tuple(plain["notes"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Foreign, of another version, or damaged: treated as absent, so it is made again.
        return None


def _reformatted(whole: dict[str, Any]) -> Any:
    """Return the record of a file that another program reformatted; raise if it was changed."""
    ours = whole["sepbench"]
    digests = (_sha256(dump(ours)) for dump in (json_text.dumps, json.dumps))
    if whole.get("sha256", "") not in ("", *digests):
        raise ValueError("changed")
    return ours


def _bare(error: str, *names: str) -> str:
    """Return an error without the method's name, which runs before 0.2.0 have in it."""
    for name in names:
        rest = error.removeprefix(f"method {name}")
        if rest != error and rest.startswith((":", " ")):
            return rest.removeprefix(":").removeprefix(" failed:").lstrip()
    return error


def _stem_result(plain: dict[str, Any]) -> StemResult:
    if "scenario" in plain:  # Written before 0.1.0.
        plain["targets"] = plain.pop("scenario")
    tuples = {key: tuple(plain[key]) for key in ("targets", "notes")}
    frames = {key: _frame_scores(plain[key]) for key in ("frames", "mixture_frames")}
    totals = {key: _scores(plain[key]) for key in ("totals", "mixture_totals")}
    return StemResult(**{**plain, **tuples, **frames, **totals})


def _frame_scores(plain: Mapping[str, Sequence[Any]]) -> dict[str, list[float]]:
    return {metric: [_score(value) for value in values] for metric, values in plain.items()}


def _scores(plain: Mapping[str, Any]) -> dict[str, float]:
    return {metric: _score(value) for metric, value in plain.items()}


def _score(value: Any) -> float:
    return math.nan if value is None else float(value)


def _number(value: Any) -> Any:
    if not (value is None or is_number(value)):
        raise ValueError(value)
    return value
