"""Selects tracks of a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sepbench._util.text import listed, matches
from sepbench.datasets.base import SUBSETS, Dataset, Track
from sepbench.errors import SepbenchError, describe


def tracks_of(dataset: Dataset, subset: str) -> list[Track]:
    """Return the tracks of a subset; raises `SepbenchError` if the data set fails in listing them.

    >>> from sepbench.datasets import open_dataset
    >>> len(tracks_of(open_dataset("excerpt"), "test"))
    1
    """
    try:
        return dataset.tracks(subset)
    except SepbenchError:
        raise
    except Exception as error:  # A plugin may raise anything.
        raise SepbenchError(
            f"data set {dataset.name}: its tracks cannot be listed: {describe(error)}"
        ) from error


def select(dataset: Dataset, subset: str, patterns: Sequence[str] = ()) -> list[Track]:
    """Return the tracks of a subset whose names match any of the glob ``patterns``, or all.

    Case does not matter. Raises `SepbenchError` with some existing names if nothing matches.
    """
    if subset not in (*SUBSETS, "all"):
        raise SepbenchError(f"no subset {subset!r}; choose {', '.join(SUBSETS)} or all")
    tracks = tracks_of(dataset, subset)
    counts = Counter(track.song for track in tracks)
    if counts and (most := counts.most_common(1)[0])[1] > 1:
        raise SepbenchError(
            f"data set {dataset.name} has {most[1]} tracks {most[0][1]!r}; keep one"
        )
    if not tracks:
        raise SepbenchError(f"data set {dataset.name} has no tracks in subset {subset!r}")
    if not patterns:
        return tracks
    chosen = [
        track for track in tracks if any(matches(track.name, pattern) for pattern in patterns)
    ]
    if not chosen:
        raise SepbenchError(
            f"no track of {dataset.name} matches {', '.join(map(repr, patterns))}; "
            f"there are {listed(repr(track.name) for track in tracks)}"
        )
    return chosen
