"""Finds data sets by entry point; a broken one is listed with its reason."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from sepbench._util import entry_points
from sepbench.datasets.base import Dataset
from sepbench.errors import SepbenchError
from sepbench.errors import describe as said

GROUP = "sepbench.datasets"
"""The entry-point group of every data set, bundled or not."""

_FACTS = ("name", "summary", "license", "how_to_get")


@dataclass(frozen=True)
class DatasetInfo:
    """A registered data set: its class, or the reason it cannot be used.

    ``distribution`` is the package that contains it, as ``name version``.
    """

    name: str
    distribution: str
    dataset: type[Dataset] | None
    reason: str | None = None


def find_datasets() -> list[DatasetInfo]:
    """Return every registered data set: those that need no files first, then by name."""
    found = [
        DatasetInfo(loaded.name, loaded.distribution, loaded.value, loaded.reason)
        for loaded in entry_points.load_all(GROUP, validate_dataset)
    ]
    return sorted(found, key=lambda info: (info.dataset is None or not info.dataset.is_built_in,))


def all_datasets() -> list[type[Dataset]]:
    """Return every usable data set, those that need no files first."""
    return [info.dataset for info in find_datasets() if info.dataset is not None]


def is_registered(name: str) -> bool:
    """Return whether there is a data set of this name."""
    return name in entry_points.find(GROUP)


def named_or_folder(dataset: str, root: Path | None) -> tuple[str, Path | None]:
    """Return the name of a data set and its root; a folder of songs may stand for both.

    The name of a data set wins over a folder of that name. Raises `SepbenchError` for a path of
    which there is no folder.
    """
    if root is not None or is_registered(dataset):
        return dataset, root
    if Path(dataset).is_dir():
        return "folder", Path(dataset)
    if Path(dataset).name != dataset:
        raise SepbenchError(f"{dataset}: no such folder of songs")
    return dataset, root


def open_dataset(name: str, root: Path | None = None) -> Dataset:
    """Return the data set ``name``, searched at ``root`` or at its usual paths.

    Raises `SepbenchError` for an unknown name or a broken plugin.
    """
    known = {info.name: info for info in find_datasets()}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise SepbenchError(f"no data set {name!r}; {hint}")
    info = known[name]
    if info.dataset is None:
        raise SepbenchError(f"data set {name}: {info.reason}")
    return _made(info.dataset, root)


def _made(dataset: type[Dataset], root: Path | None) -> Dataset:
    """Return a data set; raises `SepbenchError` if the class fails."""
    try:
        return dataset(root)
    except SepbenchError:
        raise
    except Exception as error:  # A plugin may raise anything.
        raise SepbenchError(
            f"data set {dataset.name}: it cannot be opened: {said(error)}"
        ) from error


def listing() -> list[dict[str, Any]]:
    """Return metadata and path of every data set, ready for JSON."""
    return [_described(info) for info in find_datasets()]


def _described(info: DatasetInfo) -> dict[str, Any]:
    """Return metadata and path of a data set, or why it has none: a broken one costs its row."""
    reason = info.reason
    if info.dataset is not None:
        try:
            return describe(info.dataset(None))
        except Exception as error:  # A plugin may raise anything.
            reason = str(error) if isinstance(error, SepbenchError) else said(error)
    return {"name": info.name, "available": False, "reason": reason}


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return metadata and path of a data set, ready for JSON."""
    found = dataset.find_root()
    return {
        "name": dataset.name,
        "summary": dataset.summary,
        "license": dataset.license,
        "how_to_get": dataset.how_to_get,
        "available": dataset.is_available,
        "reason": None,
        "root": None if found is None else str(found),
        "searched": [str(place) for place in dataset.places()],
    }


def validate_dataset(point: EntryPoint, dataset: Any) -> str | None:
    """Return why the object of an entry point is not a data set, or None if it is one."""
    if not entry_points.inherits(dataset, Dataset):
        return f"{point.value} is not a subclass of sepbench.datasets.Dataset"
    undeclared = {fact for fact in _FACTS if not hasattr(dataset, fact)}
    undefined = sorted(undeclared | getattr(dataset, "__abstractmethods__", set()))
    if undefined:
        return f"{point.value} does not define {', '.join(undefined)}"
    if dataset.name != point.name:
        return f"entry point {point.name!r} and class name {dataset.name!r} must be the same word"
    return None
