"""Separates files into files: reads, runs the separator, and writes each stem atomically."""

from __future__ import annotations

import functools
import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import sepbench
from sepbench import audio
from sepbench._util.download import sha256
from sepbench._util.files import from_here
from sepbench._util.partial import remove_abandoned
from sepbench._util.process import WorkerDied
from sepbench._util.text import counted
from sepbench.errors import MethodError, SepbenchError
from sepbench.inference import manifest, memory, runner
from sepbench.inference.ahead import Ahead
from sepbench.inference.chunks import Counted, chunks_of
from sepbench.inference.jobs import Job, SeparateOptions
from sepbench.inference.result import Result
from sepbench.inference.workers import SeparatorWorker
from sepbench.registry import Method
from sepbench.stems import rest_of, terms_of_rest, with_sums

if TYPE_CHECKING:
    from sepbench.inference.overlap_add import Samples

OnProgress: TypeAlias = Callable[[float, float, str], None]
"""Called with seconds done, seconds in all, and the step, "" for the separation itself."""


class SeparationSession:
    """Separates songs one after another; methods stay loaded.

    Methods run in separate processes unless the options say otherwise; `close` ends them.
    """

    def __init__(self, job: SeparateOptions) -> None:
        self._job = job
        self._workers: dict[str, SeparatorWorker] = {}
        self._digests: dict[Path, str] = {}
        self._ahead = Ahead(job.out)

    def separate_ahead(self, orders: Sequence[Job]) -> None:
        """Separate all songs of batch methods in advance.

        Failures of songs are left for `separate` to report.
        """
        groups: dict[str, list[Job]] = {}
        for order in orders:
            if order.method.declared.batch and self._is_wanted(order):
                groups.setdefault(order.method.label, []).append(order)
        for label, group in groups.items():
            if len(group) > 1:  # A single song gains nothing.
                worker = self._worker(group[0].method)
                self._ahead.run(worker, label, [order.song for order in group], self._read)

    def _is_wanted(self, order: Job) -> bool:
        """Return whether any stem has to be made; False for an unreadable song."""
        try:
            made_of = self._made_of(order)
            return self._job.overwrite or not all(
                path.is_file() and manifest.origin(path, made_of) != "other"
                for path in order.files.values()
            )
        except (SepbenchError, OSError):
            return False

    def _read(self, song: Path) -> tuple[Samples, int]:
        with audio.Reader(song, stream=self._job.stream) as reader:
            read = reader.read(start=self._job.start, duration=self._job.duration)
            return read.samples, reader.info.rate

    def separate(
        self,
        order: Job,
        *,
        on_progress: OnProgress = lambda done, total, what: None,
    ) -> Result:
        """Separate a song and write its stems.

        Stems that exist are kept unless the job says otherwise or they are known to be made of
        another song or in another way. ``on_progress`` is called with the seconds done, the seconds
        there are, and what is being done if it is not the separation. Raises `SepbenchError` naming
        the song.
        """
        try:
            return self._separate(order, on_progress)
        except SepbenchError:
            raise
        except MemoryError as error:
            cure = "try --duration for a part of it"
            raise SepbenchError(f"{order.song}: not enough memory; {cure}") from error
        # No failure of a song may affect the others.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            where = "--debug shows where"
            raise SepbenchError(f"{order.song}: cannot be separated: {reason}; {where}") from error

    def _separate(self, order: Job, on_progress: OnProgress) -> Result:
        files, job = order.files, self._job

        def on_skip(seconds: float) -> None:
            on_progress(seconds, job.start, "going to the start")

        with ExitStack() as stack:
            reader = audio.Reader(order.song, stream=job.stream, on_skip=on_skip)
            stack.enter_context(reader)
            made_of = self._made_of(order)
            there = [path for path in files.values() if path.is_file() and not job.overwrite]
            before = {path: manifest.origin(path, made_of) for path in there}
            written = Result(order.song, order.method.label, files, before)
            missing = {stem: path for stem, path in files.items() if path not in written.kept}
            if not missing:
                return written
            of_others = manifest.of_others(missing.values(), order.song)
            if of_others and not job.overwrite:
                raise _taken(order, of_others, "put {track} into --name, or give --overwrite")
            worker = self._worker(order.method)
            for folder in {path.parent for path in missing.values()}:
                remove_abandoned(folder)
            started = time.perf_counter()
            writers = self._writers(order, missing, reader.info, stack)
            done = self._stream(reader, order, writers, on_progress)
            for writer in writers.values():
                writer.finish()
            partial = {writer.path: writer.partial for writer in writers.values()}
            with manifest.locked(job.out):
                meanwhile = manifest.of_others(partial, order.song) - of_others
                if meanwhile:
                    cure = "another run wrote it just now; run this again for a name of its own"
                    raise _taken(order, meanwhile, cure)
                manifest.remember(partial, made_of, order.song)
                stack.close()
        # A song that is read twice, first for its level, has its notes twice.
        told = [f"{order.method.label}: {note}" for note in worker.notes]
        notes = dict.fromkeys([*reader.notes, *told])
        warnings = [f"{order.song}: {note}" for note in notes]
        warnings += [_clipping(writer) for writer in writers.values() if writer.clipped]
        return replace(
            written,
            seconds=time.perf_counter() - started,
            audio_seconds=done / reader.info.rate,
            warnings=tuple(warnings),
        )

    def _writers(
        self, order: Job, files: Mapping[str, Path], info: audio.AudioInfo, stack: ExitStack
    ) -> dict[str, audio.Writer]:
        tags = audio.read_tags(order.song, self._job.stream or 0)
        return {
            stem: stack.enter_context(
                audio.Writer(
                    path,
                    info.rate,
                    info.channels,
                    bit_depth=self._job.bit_depth,
                    bitrate=self._job.bitrate,
                    layout=info.layout,
                    tags=tags.of_stem(stem),
                )
            )
            for stem, path in files.items()
        }

    def _stream(
        self,
        reader: audio.Reader,
        order: Job,
        writers: Mapping[str, audio.Writer],
        on_progress: OnProgress,
    ) -> int:
        """Write the stems of a job; return the length in samples."""
        job, rate, done = self._job, reader.info.rate, 0
        total = min(job.duration or math.inf, reader.info.seconds - job.start)

        def on_measured(seconds: float) -> None:
            on_progress(seconds, total, "measuring its level")

        for part in self._parts(reader, order, on_measured):
            stems = with_sums(part)
            if job.two_stems is not None and (rest := rest_of(job.two_stems)) not in stems:
                others = [part[name] for name in terms_of_rest(job.two_stems, part)]
                stems[rest] = functools.reduce(operator.add, others)
            for stem, writer in writers.items():
                writer.write(stems[stem])
            done += next(iter(part.values())).shape[1]
            on_progress(done / rate, total, "")
        return done

    def _parts(
        self, reader: audio.Reader, order: Job, on_measured: Callable[[float], None]
    ) -> Iterable[dict[str, Samples]]:
        """Return the stems of a song piece by piece, or at once if they were made in advance."""
        method = order.method
        made = self._ahead.take(order.song, method.label)
        if made is not None:
            self._worker(method).notes = made.notes
            return [made.load().stems]
        info, job = reader.info, self._job
        seconds = min(job.duration or math.inf, info.seconds - job.start)
        memory.require(method.declared, method.label, seconds, info.rate, info.channels)
        chunks = chunks_of(reader, method.declared, job)
        counted = Counted(chunks, reader.info.rate, on_measured)
        level = runner.song_level(method.declared, counted, reader.info.rate)
        return _alive(method, self._worker(method).stream(chunks, reader.info.rate, level))

    def _made_of(self, order: Job) -> dict[str, Any]:
        """Return everything that decides the content of a job's files."""
        song, job = order.song, self._job
        if song not in self._digests:
            self._digests[song] = sha256(song)
        return {
            "song": song.name,
            "sha256": self._digests[song],
            "start": job.start,
            "duration": job.duration,
            "bit_depth": job.bit_depth or audio.DEFAULT_BIT_DEPTH,
            "sepbench": sepbench.__version__,
            **({} if job.bitrate is None else {"bitrate": job.bitrate}),
            **({} if job.stream is None else {"stream": job.stream}),
            **order.method.identity,
        }

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers.values():
            worker.stop()
        self._ahead.close()

    def __enter__(self) -> SeparationSession:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _worker(self, method: Method) -> SeparatorWorker:
        if method.label not in self._workers:
            self._workers[method.label] = SeparatorWorker(
                method, self._job.device, isolate=self._job.isolate
            )
        return self._workers[method.label]


def _alive(method: Method, parts: Iterator[dict[str, Samples]]) -> Iterator[dict[str, Samples]]:
    """Yield the parts; the death of a process is an error with the method's name."""
    try:
        yield from parts
    except WorkerDied as death:
        raise MethodError(method.label, str(death)) from None


def _taken(order: Job, paths: Iterable[Path], cure: str) -> SepbenchError:
    return SepbenchError(f"{order.song}: {min(paths)} is a stem of another song; {cure}")


def _clipping(writer: audio.Writer) -> str:
    cure = "" if writer.path.suffix == ".ogg" else "; --format wav --bit-depth 32f keeps them"
    path, count = from_here(writer.path), counted(writer.clipped, "sample")
    return f"{path}: {count} clipped, peak {writer.peak:.2f}{cure}"
