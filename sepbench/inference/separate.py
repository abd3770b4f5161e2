"""Separates files into files: reads, runs the separator, and writes each stem atomically."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import sepbench
from sepbench import audio
from sepbench._util.files import from_here, sha256
from sepbench._util.partial import remove_abandoned
from sepbench._util.process import WorkerDied
from sepbench._util.text import counted
from sepbench.errors import MethodError, SepbenchError
from sepbench.inference import manifest, memory, runner
from sepbench.inference.ahead import Ahead
from sepbench.inference.chunks import Counted, chunks_of
from sepbench.inference.jobs import Job, SeparateOptions
from sepbench.inference.result import Result
from sepbench.inference.sample_queue import SampleQueue
from sepbench.inference.workers import SeparatorWorker
from sepbench.registry import Method
from sepbench.stems import rest_of, with_sums

if TYPE_CHECKING:
    from sepbench.inference.overlap_add import Samples

OnProgress: TypeAlias = Callable[[float, float, str], None]
"""Called with seconds done, seconds in all, and the step, "" for the separation itself."""


class SeparationSession:
    """Separates songs one after another; methods stay loaded.

    Methods run in separate processes unless the options say otherwise; `close` ends them.
    """

    def __init__(self, options: SeparateOptions) -> None:
        self._options = options
        self._workers: dict[str, SeparatorWorker] = {}
        self._digests: dict[Path, str] = {}
        self._ahead = Ahead(options.out)

    def separate_ahead(self, jobs: Sequence[Job]) -> None:
        """Separate all songs of batch methods in advance.

        Failures of songs are left for `separate` to report.
        """
        groups: dict[str, list[Job]] = {}
        for job in jobs:
            if job.method.declared.batch and self._is_wanted(job):
                groups.setdefault(job.method.label, []).append(job)
        for label, group in groups.items():
            if len(group) > 1:  # A single song gains nothing.
                worker = self._worker(group[0].method)
                self._ahead.run(worker, label, [job.song for job in group], self._read)

    def _is_wanted(self, job: Job) -> bool:
        """Return whether any stem has to be made; False for an unreadable song."""
        try:
            made_of = self._made_of(job)
            return self._options.overwrite or not all(
                path.is_file() and manifest.origin(path, made_of[stem]) != "other"
                for stem, path in job.files.items()
            )
        except (SepbenchError, OSError):
            return False

    def _read(self, song: Path) -> tuple[Samples, int]:
        with audio.Reader(song, stream=self._options.stream) as reader:
            read = reader.read(start=self._options.start, duration=self._options.duration)
            return read.samples, reader.info.rate

    def separate(
        self,
        job: Job,
        *,
        on_progress: OnProgress = lambda done, total, what: None,
    ) -> Result:
        """Separate a song and write its stems.

        Stems that exist are kept unless the options say otherwise or they are known to be made of
        another song or in another way. ``on_progress`` is called with the seconds done, the seconds
        there are, and what is being done if it is not the separation. Raises `SepbenchError` naming
        the song.
        """
        try:
            return self._separate(job, on_progress)
        except SepbenchError:
            raise
        except MemoryError as error:
            cure = "try --duration for a part of it"
            raise SepbenchError(f"{job.song}: not enough memory; {cure}") from error
        # No failure of a song may affect the others.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            where = "--debug shows where"
            raise SepbenchError(f"{job.song}: cannot be separated: {reason}; {where}") from error

    def _separate(self, job: Job, on_progress: OnProgress) -> Result:
        files, options = job.files, self._options

        def on_skip(seconds: float) -> None:
            on_progress(seconds, options.start, "going to the start")

        with ExitStack() as stack:
            reader = audio.Reader(job.song, stream=options.stream, on_skip=on_skip)
            stack.enter_context(reader)
            made_of = self._made_of(job)
            there = {} if options.overwrite else {s: p for s, p in files.items() if p.is_file()}
            before = {path: manifest.origin(path, made_of[stem]) for stem, path in there.items()}
            written = Result(job.song, job.method.label, files, before)
            missing = {stem: path for stem, path in files.items() if path not in written.kept}
            if not missing:
                return written
            of_others = manifest.of_others(missing.values(), job.song)
            if of_others and not options.overwrite:
                raise _taken(job, of_others, "put {track} into --name, or give --overwrite")
            worker = self._worker(job.method)
            for folder in {path.parent for path in missing.values()}:
                remove_abandoned(folder)
            started = time.perf_counter()
            writers = self._writers(job, missing, reader.info, stack)
            done = self._stream(reader, job, writers, on_progress)
            for writer in writers.values():
                writer.finish()
            partial = {writer.path: writer.partial for writer in writers.values()}
            making = {writer.path: made_of[stem] for stem, writer in writers.items()}
            with manifest.locked(options.out):
                meanwhile = manifest.of_others(partial, job.song) - of_others
                if meanwhile:
                    cure = "another run wrote it just now; run this again for a name of its own"
                    raise _taken(job, meanwhile, cure)
                manifest.remember(partial, making, job.song)
                stack.close()
        # A song that is read twice, first for its level, has its notes twice.
        told = [f"{job.method.label}: {note}" for note in worker.notes]
        notes = dict.fromkeys([*reader.notes, *told])
        warnings = [f"{job.song}: {note}" for note in notes]
        warnings += [_clipping(writer) for writer in writers.values() if writer.clipped]
        return replace(
            written,
            seconds=time.perf_counter() - started,
            audio_seconds=done / reader.info.rate,
            warnings=tuple(warnings),
        )

    def _writers(
        self, job: Job, files: Mapping[str, Path], info: audio.AudioInfo, stack: ExitStack
    ) -> dict[str, audio.Writer]:
        tags = audio.read_tags(job.song, self._options.stream or 0)
        return {
            stem: stack.enter_context(
                audio.Writer(
                    path,
                    info.rate,
                    info.channels,
                    bit_depth=self._options.bit_depth,
                    bitrate=self._options.bitrate,
                    layout=info.layout,
                    tags=tags.of_stem(stem),
                )
            )
            for stem, path in files.items()
        }

    def _stream(
        self,
        reader: audio.Reader,
        job: Job,
        writers: Mapping[str, audio.Writer],
        on_progress: OnProgress,
    ) -> int:
        """Write the stems of a job; return the length in samples."""
        options, rate, done = self._options, reader.info.rate, 0
        total = min(options.duration or math.inf, reader.info.seconds - options.start)

        def on_measured(seconds: float) -> None:
            on_progress(seconds, total, "measuring its level")

        rest = self._rest(job)
        original = None if rest is None else SampleQueue()
        for part in self._parts(reader, job, on_measured, original):
            stems = with_sums(part)
            if rest is not None and original is not None:
                kept = stems[str(options.two_stems)]
                stems[rest] = original.take(kept.shape[1]) - kept
            for stem, writer in writers.items():
                writer.write(stems[stem])
            done += next(iter(part.values())).shape[1]
            on_progress(done / rate, total, "")
        return done

    def _rest(self, job: Job) -> str | None:
        """Return the name of the song without the stem of ``--two-stems``.

        None if that is a stem of the method. The sum of its other stems would not do: they need not
        sum to the song, as those of a chain.
        """
        if self._options.two_stems is None:
            return None
        rest = rest_of(self._options.two_stems)
        return None if rest in job.method.declared.stems else rest

    def _parts(
        self,
        reader: audio.Reader,
        job: Job,
        on_measured: Callable[[float], None],
        original: SampleQueue | None,
    ) -> Iterable[dict[str, Samples]]:
        """Return the stems of a song piece by piece, or at once if they were made in advance.

        The song itself goes into the queue ``original`` too.
        """
        method, options = job.method, self._options
        made = self._ahead.take(job.song, method.label)
        if made is not None:
            self._worker(method).notes = made.notes
            if original is not None:
                original.put(reader.read(start=options.start, duration=options.duration).samples)
            return [made.load().stems]
        info = reader.info
        seconds = min(options.duration or math.inf, info.seconds - options.start)
        memory.require(method.declared, method.label, seconds, info.rate, info.channels)
        chunks = chunks_of(reader, method.declared, options)
        counted = Counted(chunks, reader.info.rate, on_measured)
        level = runner.song_level(method.declared, counted, reader.info.rate)
        given = chunks if original is None else original.tee(chunks)
        return _alive(method, self._worker(method).stream(given, reader.info.rate, level))

    def _made_of(self, job: Job) -> dict[str, dict[str, Any]]:
        """Return everything that decides the content of a job's files, by stem."""
        made_of = self._making(job)
        rest = self._rest(job)
        is_sum = rest in with_sums(dict.fromkeys(job.method.declared.stems, 0))
        # Else the sum of that name would count as the same.
        more = {"rest_of": self._options.two_stems} if is_sum else {}
        return {stem: {**made_of, **(more if stem == rest else {})} for stem in job.files}

    def _making(self, job: Job) -> dict[str, Any]:
        song, options = job.song, self._options
        if song not in self._digests:
            self._digests[song] = sha256(song)
        return {
            "song": song.name,
            "sha256": self._digests[song],
            "start": options.start,
            "duration": options.duration,
            "bit_depth": options.bit_depth or audio.DEFAULT_BIT_DEPTH,
            "sepbench": sepbench.__version__,
            **({} if options.bitrate is None else {"bitrate": options.bitrate}),
            **({} if options.stream is None else {"stream": options.stream}),
            **job.method.identity,
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
                method, self._options.device, isolate=self._options.isolate
            )
        return self._workers[method.label]


def _alive(method: Method, parts: Iterator[dict[str, Samples]]) -> Iterator[dict[str, Samples]]:
    """Yield the parts; the death of a process is an error with the method's name."""
    try:
        yield from parts
    except WorkerDied as death:
        raise MethodError(method.label, str(death)) from None


def _taken(job: Job, paths: Iterable[Path], cure: str) -> SepbenchError:
    return SepbenchError(f"{job.song}: {min(paths)} is a stem of another song; {cure}")


def _clipping(writer: audio.Writer) -> str:
    cure = "" if writer.path.suffix == ".ogg" else "; --format wav --bit-depth 32f keeps them"
    path, count = from_here(writer.path), counted(writer.clipped, "sample")
    return f"{path}: {count} clipped, peak {writer.peak:.2f}{cure}"
