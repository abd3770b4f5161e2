"""Separates one file into files: reads, runs the host, writes each stem whole or not at all."""

from __future__ import annotations

import functools
import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sepbench
from sepbench import audio
from sepbench._util.download import sha256
from sepbench._util.partial import remove_abandoned
from sepbench._util.process import WorkerDied
from sepbench.errors import SepbenchError
from sepbench.inference import manifest, runner
from sepbench.inference.jobs import Job, SeparateOptions
from sepbench.inference.workers import SeparatorWorker
from sepbench.registry import Method
from sepbench.separator import AnySeparator
from sepbench.stems import rest_of, terms_of, with_sums

if TYPE_CHECKING:
    from sepbench.inference.overlap_add import Samples

_CHUNK = 1 << 19
_BEFORE: dict[manifest.Origin, str] = {
    "same": "kept {}, made of this song in this way before",
    "unknown": "kept {}, whatever made them; --overwrite makes them anew",
    "other": "{} had been made of another song or with other settings",
}


@dataclass(frozen=True)
class Result:
    """What came of one song and method.

    ``origins`` are those of the files that were there before; all are kept but those of ``other``
    songs or settings.
    """

    song: Path
    method: str
    files: dict[str, Path]
    origins: dict[Path, manifest.Origin]
    seconds: float = 0.0
    audio_seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def kept(self) -> list[Path]:
        """The files that are as they were."""
        return [path for path, origin in self.origins.items() if origin != "other"]

    def as_dict(self) -> dict[str, Any]:
        """Return the same, ready for JSON."""
        return {
            "song": str(self.song),
            "method": self.method,
            "files": {name: str(path) for name, path in self.files.items()},
            "kept": [str(path) for path in self.kept],
            "renewed": [str(path) for path in self.origins if path not in self.kept],
            "seconds": self.seconds,
            "audio_seconds": self.audio_seconds,
            "warnings": list(self.warnings),
        }

    def line(self) -> str:
        """Return one line for a person."""
        folder = next(iter(self.files.values())).parent
        with suppress(ValueError):
            folder = folder.relative_to(Path.cwd())
        made = " ".join(path.name for path in self.files.values() if path not in self.kept)
        parts = []
        if made:
            speed = self.audio_seconds / self.seconds
            parts.append(f"{made} ({self.seconds:.1f} s, {speed:.3g} times real time)")
        for origin, words in _BEFORE.items():
            names = " ".join(path.name for path, is_ in self.origins.items() if is_ == origin)
            if names:
                parts.append(words.format(names))
        return f"{folder}: {'; '.join(parts)}"


class SeparationSession:
    """Separates songs one after another; a method stays loaded from song to song.

    Methods run in processes of their own unless the options say otherwise; `close` ends them.
    """

    def __init__(self, job: SeparateOptions) -> None:
        self._job = job
        self._workers: dict[str, SeparatorWorker] = {}
        self._digests: dict[Path, str] = {}

    def separate(
        self,
        order: Job,
        *,
        on_progress: Callable[[float, float], None] = lambda done, total: None,
    ) -> Result:
        """Separate a song and write its stems.

        Stems that exist are kept unless the job says otherwise or they are known to be made of
        another song or in another way. ``on_progress`` is called with the seconds done and the
        seconds there are. Raises `SepbenchError` naming the song.
        """
        try:
            return self._separate(order, on_progress)
        except SepbenchError:
            raise
        except MemoryError as error:
            cure = "try --duration for a part of it"
            raise SepbenchError(f"{order.song}: not enough memory; {cure}") from error
        # Whatever goes wrong with one song costs no other.
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            where = "--debug shows where"
            raise SepbenchError(f"{order.song}: cannot be separated: {reason}; {where}") from error

    def _separate(self, order: Job, on_progress: Callable[[float, float], None]) -> Result:
        files, job = order.files, self._job
        with ExitStack() as stack:
            reader = stack.enter_context(audio.Reader(order.song, stream=job.stream))
            made_of = self._made_of(order)
            there = [path for path in files.values() if path.is_file() and not job.overwrite]
            before = {path: manifest.origin(path, made_of) for path in there}
            written = Result(order.song, order.method.label, files, before)
            missing = {stem: path for stem, path in files.items() if path not in written.kept}
            if not missing:
                return written
            worker = self._worker(order.method)
            for folder in {path.parent for path in missing.values()}:
                remove_abandoned(folder)
            started = time.perf_counter()
            writers = self._writers(order, missing, reader.info, stack)
            done = self._stream(reader, order.method, writers, on_progress)
            for writer in writers.values():
                writer.finish()
            partial = {writer.path: writer.partial for writer in writers.values()}
            manifest.remember(partial, made_of, order.song)
        # What is read twice, for its level first, is noted twice.
        notes = dict.fromkeys([*reader.notes, *worker.notes])
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
        tags = audio.read_tags(order.song)
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
        method: Method,
        writers: Mapping[str, audio.Writer],
        on_progress: Callable[[float, float], None],
    ) -> int:
        """Separate all that the job asks for; return how many samples that was."""
        job, rate, done = self._job, reader.info.rate, 0
        total = min(job.duration or math.inf, reader.info.seconds - job.start)
        chunks = _chunks(reader, method.declared, job)
        level = runner.song_level(method.declared, chunks, rate)
        for part in _alive(method, self._worker(method).stream(chunks, rate, level)):
            stems = with_sums(part)
            if job.two_stems is not None and (rest := rest_of(job.two_stems)) not in stems:
                taken = terms_of(job.two_stems, part)
                others = [part[name] for name in part if name not in taken]
                stems[rest] = functools.reduce(operator.add, others)
            for stem, writer in writers.items():
                writer.write(stems[stem])
            done += next(iter(part.values())).shape[1]
            on_progress(done / rate, total)
        return done

    def _made_of(self, order: Job) -> dict[str, Any]:
        """Return all that decides what is in the files of an order."""
        song, job = order.song, self._job
        if song not in self._digests:
            self._digests[song] = sha256(song)
        return {
            "song": song.name,
            "sha256": self._digests[song],
            "start": job.start,
            "duration": job.duration,
            "bit_depth": job.bit_depth,
            "sepbench": sepbench.__version__,
            **({} if job.bitrate is None else {"bitrate": job.bitrate}),
            **({} if job.stream is None else {"stream": job.stream}),
            **order.method.identity,
        }

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers.values():
            worker.stop()

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
    """Yield the parts; a process that dies is an error that names the method."""
    try:
        yield from parts
    except WorkerDied as death:
        raise SepbenchError(f"method {method.label}: {death}") from None


class _Blocks:
    """A song in pieces; each time it is gone through, it is read anew."""

    def __init__(self, reader: audio.Reader, job: SeparateOptions) -> None:
        self._reader, self._job = reader, job

    def __iter__(self) -> Iterator[Samples]:
        job = self._job
        return self._reader.blocks(_CHUNK, start=job.start, duration=job.duration)


def _chunks(
    reader: audio.Reader, separator: AnySeparator, job: SeparateOptions
) -> Iterable[Samples]:
    """Read piece by piece for a separator that works in blocks, at once for one that does not."""
    if separator.context is None:
        return [reader.read(start=job.start, duration=job.duration).samples]
    return _Blocks(reader, job)


def _clipping(writer: audio.Writer) -> str:
    cure = "" if writer.path.suffix == ".ogg" else "; --format wav --bit-depth 32f keeps them"
    return f"{writer.path}: {writer.clipped} samples clipped, peak {writer.peak:.2f}{cure}"
