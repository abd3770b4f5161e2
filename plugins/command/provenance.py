"""The identity of a program: its command line, version and files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sepbench.weights.container import digest, sha256

from .card import Card

_SECONDS = 60.0
"""Timeout for a program's version command in seconds; some import torch first."""


def provenance(card: Card, written: Card, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the digest of a card, the program's version line, and digests of its files.

    ``written`` is the card before its placeholders were filled. Its words are the names of the
    files in the result: they contain no paths of this machine and, unlike base names, are distinct.
    ``values`` are its raw values.
    """
    # The interpreter has a version; its file differs between machines.
    words = zip((*written.run, *written.files), (*card.run, *card.files), strict=True)
    files = ((word, _file(filled)) for word, filled in words if filled != sys.executable)
    named = {word: path for word, path in files if path is not None}
    return {
        "card": digest(_with_text_keys(values)),
        "version": version(card),
        "files": {word: _digest(path) for word, path in named.items()},
    }


def _with_text_keys(value: Any) -> Any:
    """Return nested values whose keys can be sorted: YAML reads a model called 4 as a number."""
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return value


def version(card: Card) -> str | None:
    """Return the line with the program's version, or None."""
    program = shutil.which(card.needs.program or card.run[0])
    if program is None:
        return None
    words = card.needs.version or (card.needs.program or card.run[0], "--version")
    return _version(tuple(_interpreted(word, program) for word in words), stamp(program))


def _interpreted(word: str, program: str) -> str:
    """Return the interpreter of a script for ``#!python``, else the word."""
    if word != "#!python":
        return word
    with open(program, "rb") as file:
        first = file.readline(500).decode(errors="replace").strip()
    words = first.removeprefix("#!").split()
    return words[0] if first.startswith("#!") and words and "python" in words[0] else "python"


@lru_cache(maxsize=64)
def _version(words: tuple[str, ...], changed: tuple[int, int] | None) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - the user's program
            words, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines())
    return next(filter(None, lines), None) if done.returncode == 0 else None


def _file(word: str) -> str | None:
    """Return the file that an argument names, as in ``--model=PATH``, or None.

    A program on the PATH does not count.
    """
    paths = (word, word.partition("=")[2])
    return next((path for path in paths if os.sep in path and os.path.isfile(path)), None)


def _digest(path: str) -> str:
    return _cached(path, stamp(path))


@lru_cache(maxsize=64)
def _cached(path: str, changed: tuple[int, int] | None) -> str:
    return sha256(Path(path))


def stamp(path: str | Path) -> tuple[int, int] | None:
    """Return size and time of a file, which change with it; None if it does not exist."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
