"""The files and folders that every search of sepbench skips."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from sepbench._util.plain import read_object
from sepbench._util.text import composed
from sepbench.errors import SepbenchError

_SYSTEM = frozenset(
    {"@eadir", "__macosx", "#recycle", "#snapshot", "$recycle.bin", "lost+found"}
    | {"thumbs.db", "system volume information"}
)
"""Names, in lower case, that file servers, archives and operating systems leave behind."""

MANIFEST = "separated.json"
"""The file that 'sepbench separate' writes next to stems."""

RUN_SETTINGS = "run.json"
"""The file with the settings of a run, which 'sepbench evaluate' writes."""

LAST_CHECKPOINT = "last.pt"
"""The checkpoint of the last epoch, which 'sepbench train' writes."""


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
    return any((folder / name).is_file() for name in (RUN_SETTINGS, LAST_CHECKPOINT))


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


def distinct(paths: Iterable[Path]) -> list[Path]:
    """Return the paths; raise `SepbenchError` if two in one folder have the same name.

    This happens if a song was copied from a Mac next to itself; see `composed`.
    """
    there: dict[tuple[Path, str], Path] = {}
    for path in paths:
        first = there.setdefault((path.parent, composed(path.name)), path)
        if first.name != path.name:
            raise SepbenchError(
                f"{path.parent} has two of {composed(path.name)!r}, one with composed letters (NFC)"
                " and one with decomposed letters (NFD), as a Mac writes them; keep one of them"
            )
    return list(there.values())


def named(parent: Path, name: str) -> Path | None:
    """Return the file or folder of this name in ``parent``, in whatever form it is written.

    Raises `SepbenchError` if there are two; see `distinct`.
    """
    if name.isascii() or not parent.is_dir():
        path = parent / name
        return path if path.exists() else None
    found = distinct(path for path in parent.iterdir() if composed(path.name) == composed(name))
    return found[0] if found else None


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
