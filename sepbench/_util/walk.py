"""The files and folders that every search of sepbench skips."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from sepbench._util.plain import read_object

_SYSTEM = frozenset(
    {"@eadir", "__macosx", "#recycle", "#snapshot", "$recycle.bin", "lost+found"}
    | {"thumbs.db", "system volume information"}
)
"""Names, in lower case, that file servers, archives and operating systems leave behind."""

MANIFEST = "separated.json"
"""The file that 'sepbench separate' writes next to stems."""

_OF_RUNS = ("run.json", "last.pt")
"""Files in the folders that 'evaluate' and 'train' write."""


def is_ignored(name: str) -> bool:
    """Return whether a file or folder of this name is hidden or belongs to the system.

    >>> [is_ignored(name) for name in (".Trash-1000", "@eaDir", "._song.wav", "song.wav")]
    [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _SYSTEM


def is_output(folder: Path) -> bool:
    """Return whether sepbench wrote a folder: separated stems, a run, or a training run."""
    return (folder / MANIFEST).is_file() or is_run(folder)


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run of 'evaluate' or 'train'."""
    return any((folder / name).is_file() for name in _OF_RUNS)


def written_stems(folder: Path) -> frozenset[str]:
    """Return the names of the files in a folder that 'sepbench separate' wrote."""
    return frozenset(read_object(folder / MANIFEST))


def folders(parent: Path) -> list[Path]:
    """Return the folders in ``parent`` that are not ignored, in natural order."""
    return [path for path in _listed(parent) if path.is_dir()]


def files(parent: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files in ``parent`` with one of ``suffixes``, in natural order."""
    return [path for path in _listed(parent) if path.suffix.lower() in suffixes and path.is_file()]


def walk(parent: Path) -> Iterator[Path]:
    """Yield ``parent`` and all folders below it, except ignored ones and sepbench's output."""
    yield parent
    for folder in folders(parent):
        if not is_output(folder):
            yield from walk(folder)


def _listed(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(
        (path for path in parent.iterdir() if not is_ignored(path.name)), key=natural_order
    )


def natural_order(path: Path) -> list[list[tuple[int, int, str]]]:
    """Return a sort key: numbers in names by value, letters without regard to case."""
    return [
        [
            (0, int(piece), piece) if piece.isdecimal() else (1, 0, piece.casefold())
            for piece in re.split(r"(\d+)", part)
            if piece
        ]
        for part in path.parts
    ]
