"""Hints for a data set that was not found: the right folder, name, or data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from sepbench._util.walk import folders
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from sepbench.datasets.files import FileDataset

_UP, _DOWN = 3, 3
"""Levels of folders that are searched."""

_MOST = 300
"""Folders of a level that are searched."""


def hint(dataset: FileDataset) -> str | None:
    """Return where a data set that was not found is, or which other data set is there instead."""
    places = [place for place in dataset.places() if place.is_dir()]
    searches = [_nearby, _misnamed, _as_another]
    if dataset.takes_any_folder:  # The songs of other data sets look like one's own.
        searches = [_as_another, _nearby]
    found = (search(dataset, place) for search in searches for place in places)
    return next(filter(None, found), None)


def renaming(layout: Sequence[str], place: Path) -> str | None:
    """Return which folder to rename, if one differs from the layout only in case."""
    for pattern in layout:
        for here, wanted in _misspelt(place, Path(pattern).parts):
            return f"rename {here} to {wanted}"
    return None


def instead(dataset: FileDataset, place: Path) -> str | None:
    """Return which other data set is in a folder, or None."""
    from sepbench.datasets.discovery import all_datasets
    from sepbench.datasets.files import FileDataset

    for kind in all_datasets():
        if not issubclass(kind, FileDataset) or kind.name == dataset.name:
            continue
        other = kind(place)
        try:
            is_there = (
                not other.takes_any_folder
                and other.has_songs(place)
                and other.root()
                and any(getattr(t, "problem", None) is None for t in other.find_tracks(place))
            )
        except SepbenchError:  # Another form of the data set, such as a sample of it.
            continue
        if is_there:
            return kind.name
    return None


def _nearby(dataset: FileDataset, place: Path) -> str | None:
    for other in (*_below(place), *_above(place)):
        if dataset.has_songs(other):
            return f"it is in {other}; give --root {quote(str(other))}"
        if dataset.takes_any_folder and other == place.resolve().parent:
            return None  # Songs further above belong to something else.
    return None


def _misnamed(dataset: FileDataset, place: Path) -> str | None:
    return renaming(dataset.layout, place)


def _as_another(dataset: FileDataset, place: Path) -> str | None:
    if name := instead(dataset, place):
        return f"{place} is {name}; give --dataset {name}"
    for other in (*_below(place), *_above(place)):
        if name := instead(dataset, other):
            return f"{other} is {name}; give --dataset {name} --root {quote(str(other))}"
    return None


def _below(place: Path) -> Iterator[Path]:
    level = [place]
    for _ in range(_DOWN):
        level = [below for folder in level for below in folders(folder)][:_MOST]
        yield from level


def _above(place: Path) -> list[Path]:
    return list(place.resolve().parents)[:_UP]


def _misspelt(place: Path, parts: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yield folders that differ from a pattern only in case, with the right name."""
    for part in parts:
        if "*" in part:
            return
        if not (place / part).is_dir():
            yield from (
                (child, part) for child in folders(place) if child.name.lower() == part.lower()
            )
            return
        place /= part
