"""Reads the table of ratings that webMUSHRA writes of a test exported from a run."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sepbench._util.files import write_atomic
from sepbench._util.plain import is_list_of
from sepbench.errors import SepbenchError

_KEY = "webmushra.json"
"""The file of a run that describes its exported trials."""

_COLUMNS = ("session_uuid", "trial_id", "rating_stimulus", "rating_score")
_KINDS = {"reference": "reference", "anchor35": "anchor", "anchor70": "anchor"}


def keep_names(run: Path, trials: Mapping[str, Mapping[str, Any]]) -> None:
    """Store the description of exported trials, next to those of earlier exports.

    ``trials`` has ``track``, ``subset``, ``stem`` and ``methods`` (labels by stimulus) by trial id.
    A trial that was exported before keeps its methods of then, which listeners may have rated.
    """
    known = _names(run)
    for trial, facts in trials.items():
        earlier = _methods_of(known.get(trial, {}), facts)
        known[trial] = {**facts, "methods": {**earlier, **facts["methods"]}}
    write_atomic(run / _KEY, json.dumps(known, indent=1) + "\n")


def earlier_methods(run: Path, trial: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return labels by stimulus of a trial, as earlier exports had them.

    ``facts`` are its ``track``, ``subset`` and ``stem``.
    """
    return _methods_of(_names(run).get(trial, {}), facts)


def _methods_of(known: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, str]:
    same = all(known.get(key) == facts[key] for key in ("track", "subset", "stem"))
    return known["methods"] if same else {}


def sessions(path: Path, run: Path) -> Iterator[dict[str, Any]]:
    """Yield the ratings of each listener in a ``mushra.csv``, in the form of the page's export.

    Raises `SepbenchError` for another file, and for trials that were not exported from the run.
    """
    known = _names(run)
    by_listener: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for line, row in enumerate(_rows(path), start=2):
        listener, trial, stimulus, score = (row[name] for name in _COLUMNS)
        methods = known.get(trial, {}).get("methods", {})
        if stimulus not in methods and (trial not in known or stimulus not in _KINDS):
            raise SepbenchError(
                f"{path}: line {line}: {stimulus!r} of {trial!r} is in no test of {run}; "
                "import it into the run from which it was exported"
            )
        try:
            rating = float(score)
        except ValueError:
            rating = math.nan
        if not 0 <= rating <= 100:
            raise SepbenchError(f"{path}: line {line}: {score!r} is no rating from 0 to 100")
        said = {
            "source": methods.get(stimulus, _KINDS.get(stimulus)),
            "kind": "method" if stimulus in methods else _KINDS[stimulus],
            "rating": rating,
        }
        # A session that was sent twice counts once.
        earlier = (
            by_listener.setdefault(listener, {}).setdefault(trial, {}).setdefault(stimulus, said)
        )
        if earlier["rating"] != rating:
            raise SepbenchError(
                f"{path}: line {line}: {listener} rates {stimulus!r} of {trial!r} for the second "
                "time, and otherwise; delete the lines that are not to count"
            )
    for listener, trials in by_listener.items():
        yield {
            "listener": listener,
            "run": run.name,
            "ratings": [
                {key: known[trial][key] for key in ("track", "subset", "stem")}
                | {"ratings": [*said.values()]}
                for trial, said in trials.items()
            ],
        }


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        # A spreadsheet may have saved it with a byte order mark and semicolons.
        with path.open(encoding="utf-8-sig", newline="") as file:
            heading = file.readline()
            file.seek(0)
            mark = ";" if heading.count(";") > heading.count(",") else ","
            table = csv.DictReader(file, restval="", delimiter=mark)
            names, rows = table.fieldnames or (), list(table)
    except OSError as error:
        raise SepbenchError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, csv.Error) as error:
        raise SepbenchError(f"{path}: not a table: {error}") from None
    lacking = [name for name in _COLUMNS if name not in names]
    if lacking:
        raise SepbenchError(
            f"{path}: not the ratings of webMUSHRA: no column {lacking[0]}; "
            "give results/sepbench/mushra.csv of its folder"
        )
    if not rows:
        raise SepbenchError(f"{path}: no ratings; nobody has finished the test")
    return rows


def _names(run: Path) -> dict[str, Any]:
    """Return what is kept of exported trials; raise `SepbenchError` if it is damaged."""
    file = run / _KEY
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SepbenchError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        found = None
    if not (isinstance(found, dict) and all(map(_is_trial, found.values()))):
        raise SepbenchError(f"{file}: damaged; delete it and export the test again")
    return found


def _is_trial(trial: Any) -> bool:
    return (
        isinstance(trial, dict)
        and is_list_of(str, [trial.get(key) for key in ("track", "subset", "stem")])
        and isinstance(trial.get("methods"), dict)
        and is_list_of(str, [*trial["methods"].values()])
    )
