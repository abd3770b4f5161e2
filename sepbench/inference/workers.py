"""Runs separators in separate processes, so that they cannot affect each other.

Without isolation, to debug a plugin, the same work runs in this process.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sepbench._util.allocator import keep_freed_memory
from sepbench._util.process import Limit, LocalWorker, Worker, WorkerDied, WorkerProcess
from sepbench._util.starting import preload
from sepbench.errors import MethodError, SepbenchError, describe
from sepbench.inference import runner
from sepbench.inference.batch import Made, separate_all
from sepbench.inference.level import Level
from sepbench.inference.overlap_add import Samples
from sepbench.inference.packing import packed, unpacked
from sepbench.inference.runner import Separation
from sepbench.registry import Method
from sepbench.separator import AnySeparator, Separator

if TYPE_CHECKING:
    import torch


LOADING = 600.0
"""Seconds that a method with a timeout may take to load, if the timeout is shorter."""

WARM_UP = 60.0
"""The same for its first second of audio, in which some compile their networks."""


@dataclass(frozen=True)
class Load:
    """Asks for the method to be loaded, and whether it has to be warmed up."""


@dataclass(frozen=True)
class Song:
    """A song for a separator: a mixture in memory, or the inputs of the task if None.

    ``level`` is that of the inputs, which can be iterated only once.

    Shape:
        mixture and every reference: ``(channels, samples)``.
    """

    rate: int
    mixture: Samples | None = None
    references: Mapping[str, Samples] | None = None
    level: Level | None = None


@dataclass(frozen=True)
class WarmUp:
    """Gives the first second of a song for `warm_up`."""

    song: Song


@dataclass(frozen=True)
class Batch:
    """Many songs for a batch separator: the inputs of the task."""

    folder: Path


_Request: TypeAlias = Load | WarmUp | Song | Batch


class SeparatorWorker:
    """Separates songs with one method, in a separate process unless ``isolate`` is false.

    The method stays loaded. Every song starts in the same state: the process is replaced after the
    method has changed its settings (`sepbench._util.process_state`), and the global random
    generators are seeded. ``timeout`` is in seconds, for one song, or the songs of a batch, without
    loading and warming up, which may take `LOADING` and `WARM_UP`.
    """

    def __init__(
        self, method: Method, device: str, *, timeout: float | None = None, isolate: bool = True
    ) -> None:
        self.notes: tuple[str, ...] = ()
        self._timeout = timeout
        self._failed_loads: list[WorkerDied] = []
        self._worker: Worker[_Request]
        if isolate:
            self._worker = WorkerProcess(_Separating(method, device), timeout=timeout)
        else:
            self._worker = LocalWorker(_Separating(method, device, isolated=False))

    def separate(
        self, mixture: Samples, rate: int, references: Mapping[str, Samples] | None = None
    ) -> tuple[Separation, tuple[str, ...]]:
        """Separate a song in memory with measurements; also return the names of changed settings.

        Raises `SepbenchError`, and `WorkerDied` as `WorkerProcess` does.
        """
        if self._load():
            first = slice(0, rate)
            short = references and {name: stem[:, first] for name, stem in references.items()}
            limit = self._longer(WARM_UP, "for its first second of audio")
            self._worker.run(WarmUp(Song(rate, mixture[:, first], short)), limit=limit)
        separation: Separation
        separation, changed = self._worker.run(Song(rate, mixture, references))
        return separation, changed

    def stream(
        self, chunks: Iterable[Samples], rate: int, level: Level | None = None
    ) -> Iterator[dict[str, Samples]]:
        """Yield the stems of a song given in chunks, as `runner.stream` does.

        ``level`` is the result of `runner.song_level`. Afterwards ``notes`` has the method's notes
        on the song.
        """
        self.notes = ()
        for output in self._worker.stream(Song(rate, level=level), chunks):
            if isinstance(output, tuple):
                self.notes = output
            else:
                yield output

    def batch(self, songs: Iterable[tuple[Samples, int]], folder: Path) -> Iterator[Made]:
        """Yield the results of many songs at once, as `batch.separate_all` does."""
        self._load()
        yield from self._worker.stream(Batch(folder), songs)

    def _load(self) -> bool:
        """Load the method, if it is not loaded; return whether it has to be warmed up.

        It is not tried a third time after two attempts that ended the process: another song would
        not help.
        """
        if len(self._failed_loads) > 1:
            raise self._failed_loads[-1]
        try:
            return bool(self._worker.run(Load(), limit=self._longer(LOADING, "to load")))
        except WorkerDied as death:
            self._failed_loads.append(death)
            raise

    def _longer(self, least: float, what: str) -> Limit | None:
        """Return a limit of at least these seconds, if there is a timeout."""
        if self._timeout is None:
            return None
        seconds = max(least, self._timeout)
        return Limit(seconds, f"{seconds:g} seconds {what}")

    @property
    def is_running(self) -> bool:
        """Whether the process is running."""
        return isinstance(self._worker, WorkerProcess) and self._worker.is_running

    def stop(self) -> None:
        """Kill the process, even in the middle of a song."""
        self._worker.stop()


def share_imports(methods: Iterable[Method]) -> None:
    """Have the processes of methods share what several of them would import.

    Call it before the first process starts. Only sepbench's own plugins are asked: an import of
    another one might end the server from which all processes are forked.
    """
    named: Counter[str] = Counter()
    for method in methods:
        parts = (part for part in method.parts() if part.distribution.startswith("sepbench "))
        named.update({part.separator.preload for part in parts if part.separator.preload})
    preload(module for module, count in named.items() if count > 1)


class _Separating:
    """The work of a `SeparatorWorker`."""

    def __init__(self, method: Method, device: str, *, isolated: bool = True) -> None:
        self.retire = False
        self._label = method.label
        self._create = partial(unpacked, packed(method)) if isolated else method.create
        self._isolated = isolated
        self._device = device
        self._separator: AnySeparator | None = None
        self._is_warm = False

    def __call__(self, request: _Request, inputs: Iterator[Any]) -> Iterator[Any]:
        """Yield the stems of a song, piece by piece or at once with their costs."""
        try:
            # Warning filters of a plugin and its libraries end with the song.
            with warnings.catch_warnings():
                if isinstance(request, Load):
                    yield self._loaded().warms_up and not self._is_warm
                elif isinstance(request, WarmUp):
                    self._warm_up(request.song)
                    yield None
                elif isinstance(request, Batch):
                    yield from self._separate_all(request, inputs)
                else:
                    yield from self._separate(request, inputs)
        except (SepbenchError, GeneratorExit):
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and not self._isolated:
                raise  # In this process Ctrl-C comes from the user.
            raise MethodError(self._label, describe(error)) from error

    def _separate(self, song: Song, inputs: Iterator[Samples]) -> Iterator[Any]:
        from sepbench._util import process_state

        separator, device = self._loaded(), runner.choose_device(self._device)
        references = song.references if separator.needs_references else None
        how: dict[str, Any] = {"rate": song.rate, "device": device, "references": references}
        before = process_state.settings()
        process_state.seed_generators()
        try:
            if song.mixture is None:
                yield from runner.stream(separator, inputs, level=song.level, **how)
                yield runner.notes(separator)
                return
            made = runner.separate(separator, song.mixture, **how)
            changed = process_state.differences(before, process_state.settings())
            yield made, tuple(changed)
        finally:
            self.retire = before != process_state.settings()

    def _warm_up(self, song: Song) -> None:
        from sepbench._util import process_state

        separator, device = self._loaded(), runner.choose_device(self._device)
        references = song.references if separator.needs_references else None
        process_state.seed_generators()
        if song.mixture is not None:
            warm_up(separator, song.mixture, rate=song.rate, device=device, references=references)
        self._is_warm = True

    def _separate_all(self, batch: Batch, inputs: Iterator[Any]) -> Iterator[Made]:
        from sepbench._util import process_state

        separator, device = self._loaded(), runner.choose_device(self._device)
        assert isinstance(separator, Separator)  # noqa: S101 - no other kind takes batches
        process_state.seed_generators()
        yield from separate_all(separator, inputs, batch.folder, device)

    def _loaded(self) -> AnySeparator:
        if self._separator is None:
            separator = self._create()
            load(separator, runner.choose_device(self._device))
            self._separator = separator
        return self._separator


def load(separator: AnySeparator, device: torch.device) -> None:
    """Load a separator in the process that works with it alone, and may keep freed memory."""
    runner.load(separator, device)
    if not separator.members:  # What one member needs must not be kept beside the next.
        keep_freed_memory()


def warm_up(
    separator: AnySeparator,
    mixture: Samples,
    *,
    rate: int,
    device: torch.device,
    references: Mapping[str, Samples] | None = None,
) -> None:
    """Separate the first second of a song as a warm-up, so that later costs exclude it.

    Errors are left for the next task to report.
    """
    with suppress(SepbenchError):
        runner.separate(separator, mixture, rate=rate, device=device, references=references)
