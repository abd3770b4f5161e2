"""Ratings of listeners exported from the page, and their agreement with metrics."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sepbench._util.files import write_atomic
from sepbench._util.plain import is_list_of, is_number
from sepbench._util.text import counted
from sepbench.errors import SepbenchError
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report.intervals import Interval, interval
from sepbench.report.webmushra_results import sessions

FORMAT = "sepbench ratings 1"
COLUMNS = "listener track subset stem source kind rating".split()
KINDS = ("reference", "method", "oracle", "anchor")

LOW_REFERENCE = 90
MOST_LOW = 0.15
"""Listeners who rate the hidden reference under 90 in more than 15 % of excerpts are left out, as
ITU-R BS.1534-3 recommends (section 4.1.2)."""

FEWEST_PAIRS = 6
_EXPORT_AGAIN = "export the ratings from the page again"
_IMPORT_AGAIN = "delete it and import the ratings of this listener again"
_LISTENER = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Opinion:
    """The mean rating of a source and stem, 0 to 100, with its 95 % interval.

    The interval is over tracks (means over listeners), or over listeners for a single track;
    ``over`` says which and ``count`` how many.
    """

    source: str
    kind: str
    stem: str
    mean: float
    interval: Interval
    over: str
    count: int


@dataclass(frozen=True)
class Agreement:
    """Correlation of a metric with mean ratings over pairs of track and method, from -1 to 1."""

    stem: str
    protocol: str
    metric: str
    spearman: float
    kendall: float
    pearson: float
    pairs: int


def add(
    paths: Sequence[Path],
    run: Path,
    known: Container[tuple[str, str]] | None = None,
    made: Mapping[tuple[str, str, str], str] | None = None,
) -> None:
    """Copy exported ratings into a run, one file per listener; all of them or none.

    Files are exports of the page, or webMUSHRA's tables (``.csv``) of tests exported from the run.
    What a listener has rated before stays. Raises `SepbenchError` for another file, if no rating is
    of a ``known`` pair of track and method, if one is of stems that differ from those ``made``, and
    if two files have different ratings of an excerpt by one listener.
    """
    read = [(path, plain) for path in paths for plain in _read_all(path, run)]
    for path, plain in read:
        rated = [(row["track"], row["source"]) for row in _rows(plain) if row["kind"] == "method"]
        if known is not None and rated and not any(pair in known for pair in rated):
            raise SepbenchError(
                f"{path}: rates no track and method of this run, but of {plain.get('run')!r}; "
                "import it into that run"
            )
        _refuse_other_stems(path, plain, made or {})
    listeners: dict[Path, list[tuple[Path, dict[str, Any]]]] = {}
    for path, plain in read:
        kept = run / "ratings" / f"{plain['listener']}.json"
        files = listeners.setdefault(kept, [])
        if not files and kept.exists():
            files.append((kept, _read(kept, _IMPORT_AGAIN)))
        for before, earlier in files:
            _refuse_other_ratings(before, earlier, path, plain)
        files.append((path, plain))
    for kept, files in listeners.items():
        whole = reduce(_joined, (plain for _, plain in files))
        write_atomic(kept, json.dumps(whole, indent=1) + "\n")


def _refuse_other_stems(
    path: Path, plain: dict[str, Any], made: Mapping[tuple[str, str, str], str]
) -> None:
    """Raise `SepbenchError` if ratings are of stems with other fingerprints than the run's."""
    for row in _rows(plain):
        # Older pages, and webMUSHRA, do not say how they were made.
        here = made.get((row["subset"], row["track"], row["source"]))
        if here and row["made"] not in (None, here):
            raise SepbenchError(
                f"{path}: rates {row['source']} on {row['track']!r} as another run made it; "
                "import it into the run of its page"
            )


def _refuse_other_ratings(
    before: Path, known: dict[str, Any], path: Path, plain: dict[str, Any]
) -> None:
    """Raise `SepbenchError` if each of two files has a rating of one excerpt that the other lacks.

    A later export of the same person contains the earlier ratings. Otherwise the files are of two
    people with the same name: older pages kept the name when all ratings were deleted.
    """
    gone, more = _apart(known["ratings"], plain["ratings"])
    for excerpt in map(_excerpt, more):
        if excerpt in map(_excerpt, gone):
            subset, track, stem = excerpt
            raise SepbenchError(
                f"{path}: rates {stem} of {f'{subset}/{track}'!r} otherwise than {before} does "
                f"under the same listener, {plain['listener']}; if they are two people, change "
                f"'listener' in {path.name}, else delete the file that is not to count"
            )


def _joined(known: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """Return what a listener has said in two files, each of it once."""
    said = {
        key: known.get(key, []) + _apart(known.get(key, []), plain.get(key, []))[1]
        for key in ("ratings", "abx")
    }
    return {**known, **plain, **said}


def _apart(some: Sequence[Any], others: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return what only the first has and what only the second has; of equals, each counts."""
    only, more = list(some), []
    for one in others:
        if one in only:
            only.remove(one)
        else:
            more.append(one)
    return only, more


def _excerpt(trial: dict[str, Any]) -> tuple[str, str, str]:
    return trial["subset"], trial["track"], trial["stem"]


def table(run: Path) -> pd.DataFrame:
    """Return one row per rating of all listeners of a run, with `COLUMNS`."""
    files = sorted((run / "ratings").glob("[!.]*.json"))
    rows = [row for path in files for row in _rows(_read(path, _IMPORT_AGAIN))]
    return pd.DataFrame(rows, columns=COLUMNS)


def unreliable(ratings: pd.DataFrame) -> list[str]:
    """Return the listeners who too often missed the hidden reference."""
    hidden = ratings[ratings["kind"].eq("reference")]
    low = hidden["rating"].lt(LOW_REFERENCE).groupby(hidden["listener"]).mean()
    return sorted(str(name) for name in low.index[low > MOST_LOW])


def opinions(ratings: pd.DataFrame) -> list[Opinion]:
    """Return the mean opinion of each source and stem, the best of each stem first."""
    found = []
    for (stem, kind, source), rows in ratings.groupby(["stem", "kind", "source"]):
        by_track = _by_excerpt(rows)
        by_listener = rows.groupby("listener")["rating"].mean()
        over, means = ("tracks", by_track) if len(by_track) > 1 else ("listeners", by_listener)
        values = means.to_numpy(dtype=float)
        ends = Interval(*np.clip(interval(values, "mean"), 0, 100))  # No rating is beyond.
        mean = float(values.mean())
        found.append(Opinion(str(source), str(kind), str(stem), mean, ends, over, len(values)))
    return sorted(found, key=lambda one: (one.stem, -one.mean, one.source))


def _by_excerpt(ratings: pd.DataFrame) -> pd.Series:
    """Return means over listeners; one who rated an excerpt twice counts once."""
    excerpt = ["subset", "track", "stem", "source"]
    return ratings.groupby([*excerpt, "listener"])["rating"].mean().groupby(excerpt).mean()


def agreement(ratings: pd.DataFrame, scores: pd.DataFrame) -> list[Agreement]:
    """Return the agreement of each metric of ``scores.csv`` with ratings, best first.

    Scores are turned so that the greater is better, as ratings are. Oracles, hidden references and
    anchors are left out.
    """
    means = _by_excerpt(ratings[ratings["kind"].eq("method")])
    valued = scores[np.isfinite(scores["value"].astype(float)) & scores["protocol"].notna()]
    found = []
    for (stem, protocol, metric), rows in valued.groupby(["stem", "protocol", "metric"]):
        columns = ("subset", "track", "stem", "label")
        keys = list(zip(*(rows[name] for name in columns), strict=True))
        good = _goodness(str(protocol), str(metric))
        pairs = [
            (means[key], good(value))
            for key, value in zip(keys, rows["value"], strict=True)
            if key in means.index
        ]
        if pairs:
            found.append(_agreement(str(stem), str(protocol), str(metric), np.array(pairs)))
    return sorted(found, key=lambda one: (one.stem, -np.nan_to_num(one.spearman, nan=-2)))


def _goodness(protocol: str, metric: str) -> Callable[[float], float]:
    """Return what turns a score; those of a metric that is not installed stay."""
    try:
        return find_protocol(protocol).of(metric).goodness
    except SepbenchError:
        return float


def _agreement(stem: str, protocol: str, metric: str, pairs: np.ndarray) -> Agreement:
    said, scored = pairs.T.astype(float)
    if len(pairs) < FEWEST_PAIRS or not (np.ptp(said) and np.ptp(scored)):
        return Agreement(stem, protocol, metric, math.nan, math.nan, math.nan, len(pairs))
    tests = (stats.spearmanr, stats.kendalltau, stats.pearsonr)
    spearman, kendall, pearson = (float(test(said, scored).statistic) for test in tests)
    return Agreement(stem, protocol, metric, spearman, kendall, pearson, len(pairs))


def _rows(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for trial in plain["ratings"]:
        facts = {key: trial[key] for key in ("track", "subset", "stem")}
        for one in trial["ratings"]:
            said = {key: one[key] for key in ("source", "kind", "rating")}
            yield {"listener": plain["listener"], **facts, **said, "made": one.get("made")}


def _read_all(path: Path, run: Path) -> list[dict[str, Any]]:
    if path.suffix.lower() != ".csv":
        return [_read(path, _EXPORT_AGAIN)]
    found = [{"format": FORMAT, **plain} for plain in sessions(path, run)]
    if fault := next(filter(None, map(_fault, found)), ""):
        raise SepbenchError(f"{path}: {fault}")
    return found


def _read(path: Path, cure: str) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SepbenchError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise SepbenchError(f"{path}: not JSON; {cure}") from None
    if fault := _fault(plain):
        raise SepbenchError(f"{path}: {fault}; {cure}")
    return dict(plain)


def _fault(plain: Any) -> str:
    """Return why a value is not a file of ratings, empty if it is."""
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        return f"not '{FORMAT}'"
    if not _LISTENER.fullmatch(str(plain.get("listener", ""))):
        return "the listener has no name of letters and digits"
    trials: Any = plain.get("ratings")
    if not is_list_of(dict, trials):
        return "no list of ratings"
    for trial in trials:
        if not is_list_of(dict, trial.get("ratings")):
            return "a trial without ratings"
        if not is_list_of(str, [trial.get(key) for key in ("track", "subset", "stem")]):
            return "a trial without track, subset and stem"
        if not all(_is_rating(one) for one in trial["ratings"]):
            return "a rating that is not a number from 0 to 100"
    return "" if is_list_of(dict, plain.get("abx", [])) else "no list of ABX trials"


def _is_rating(one: Any) -> bool:
    return (
        is_list_of(str, [one.get("source")])
        and one.get("kind") in KINDS
        and is_number(one.get("rating"))
        and 0 <= one["rating"] <= 100
    )


def describe(ratings: pd.DataFrame, left_out: Sequence[str]) -> str:
    """Describe the numbers of listeners and excerpts."""
    listeners = ratings["listener"].nunique()
    excerpts = len(ratings[["subset", "track", "stem"]].drop_duplicates())
    out = f"; left out: {', '.join(left_out)}, who missed the hidden reference" if left_out else ""
    return f"{counted(listeners, 'listener')}, {counted(excerpts, 'excerpt')}{out}"
