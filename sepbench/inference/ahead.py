"""Separates many songs in advance, with one start of a method that starts slowly.

The stems are kept in files until they are used.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TypeVar

from sepbench._util.files import make_folder
from sepbench._util.partial import own_folder
from sepbench._util.process import WorkerDied
from sepbench.errors import MethodError, SepbenchError, describe
from sepbench.inference.batch import Made
from sepbench.inference.overlap_add import Samples
from sepbench.inference.workers import SeparatorWorker

BATCH_FOLDER = ".batch"
"""Prefix of the folders for stems that are not used yet."""

Of = TypeVar("Of", bound=Hashable)


def batch(
    worker: SeparatorWorker,
    label: str,
    wanted: Sequence[Of],
    load: Callable[[Of], tuple[Samples, int]],
    folder: Path,
) -> dict[Of, Made]:
    """Return the stems of songs, or the reason of the failure.

    Nothing if the method refused all of several songs, as one may have cost the others. ``load``
    reads a song, as mixture and rate; songs for which it raises `SepbenchError` are left out.
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
    has_answered = False
    try:
        for result in worker.batch(songs(), folder):
            made.append(result)
        has_answered = True  # It did not crash, or take too long.
    except CancelledError:
        raise
    except (SepbenchError, WorkerDied) as error:
        failure = MethodError(label, str(error)) if isinstance(error, WorkerDied) else error
        made += [Made({}, error=failure)] * (len(wanted) - len(made))
    except Exception as error:  # No exception of a method may affect the others.
        failure = MethodError(label, describe(error))
        made += [Made({}, error=failure)] * (len(wanted) - len(made))
    if has_answered and len(made) > 1 and all(one.error is not None for one in made):
        return {}
    named = [*readable, *(one for one in wanted if one not in readable)]
    return dict(zip(named, made, strict=False))


class Ahead:
    """Stems separated in advance, in a folder that `close` removes."""

    def __init__(self, parent: Path) -> None:
        self._folder = own_folder(parent, BATCH_FOLDER)
        self._made: dict[tuple[Path, str], Made] = {}

    def run(
        self,
        worker: SeparatorWorker,
        label: str,
        songs: Sequence[Path],
        load: Callable[[Path], tuple[Samples, int]],
    ) -> None:
        """Separate songs with a method, for `take`."""
        make_folder(self._folder)
        place = Path(tempfile.mkdtemp(dir=self._folder))
        for song, made in batch(worker, label, songs, load, place).items():
            self._made[song, label] = made

    def take(self, song: Path, label: str) -> Made | None:
        """Return the stems of a song, once; None if it was not separated by `run`."""
        return self._made.pop((song, label), None)

    def close(self) -> None:
        """Remove all files."""
        shutil.rmtree(self._folder, ignore_errors=True)
