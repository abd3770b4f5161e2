"""Separates many songs with one start of a method that takes long to start, before they are used.

What it makes of each is kept in files until it is asked for.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TypeVar

import psutil

from sepbench._util.files import make_folder
from sepbench._util.process import WorkerDied
from sepbench.errors import SepbenchError, describe
from sepbench.inference.batch import Made
from sepbench.inference.overlap_add import Samples
from sepbench.inference.workers import SeparatorWorker

_PREFIX = ".batch-"

Of = TypeVar("Of", bound=Hashable)


def own_folder(parent: Path) -> Path:
    """Return where this process keeps its stems below a folder; remove what killed ones left."""
    for folder in parent.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX)
        if not (pid.isdecimal() and psutil.pid_exists(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)
    return parent / f"{_PREFIX}{os.getpid()}"


def batch(
    worker: SeparatorWorker,
    label: str,
    wanted: Sequence[Of],
    load: Callable[[Of], tuple[Samples, int]],
    folder: Path,
) -> dict[Of, Made]:
    """Return what a method makes of songs, or why it makes nothing.

    ``load`` reads a song, as mixture and rate; what it cannot read, because of a `SepbenchError`,
    is left out where the others could be separated.
    """
    readable: list[Of] = []

    def songs() -> Iterator[tuple[Samples, int]]:
        for one in wanted:
            try:
                song = load(one)
            except SepbenchError:
                continue
            readable.append(one)
            yield song

    made: list[Made] = []
    try:
        for result in worker.batch(songs(), folder):
            made.append(result)
    except CancelledError:
        raise
    except (SepbenchError, WorkerDied) as error:
        reason = f"method {label}: {error}" if isinstance(error, WorkerDied) else str(error)
        made += [Made({}, error=reason)] * (len(wanted) - len(made))
    except Exception as error:  # One method must never cost the others, whatever it raises.
        reason = f"method {label}: {describe(error)}"
        made += [Made({}, error=reason)] * (len(wanted) - len(made))
    named = [*readable, *(one for one in wanted if one not in readable)]
    return dict(zip(named, made, strict=False))


class Ahead:
    """What methods made of songs before they were asked for, in a folder that `close` removes."""

    def __init__(self, parent: Path) -> None:
        self._folder = own_folder(parent)
        self._made: dict[tuple[Path, str], Made] = {}

    def run(
        self,
        worker: SeparatorWorker,
        label: str,
        songs: Sequence[Path],
        load: Callable[[Path], tuple[Samples, int]],
    ) -> None:
        """Separate songs with a method, so that `take` has them."""
        make_folder(self._folder)
        place = Path(tempfile.mkdtemp(dir=self._folder))
        for song, made in batch(worker, label, songs, load, place).items():
            self._made[song, label] = made

    def take(self, song: Path, label: str) -> Made | None:
        """Return what a method made of a song, once; None if it was not among those of `run`."""
        return self._made.pop((song, label), None)

    def close(self) -> None:
        """Remove all files."""
        shutil.rmtree(self._folder, ignore_errors=True)
