"""Separates one file into files: reads, runs the host, writes each stem whole or not at all."""

from __future__ import annotations

import math
import string
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import sepbench
from sepbench import audio
from sepbench._util.download import sha256
from sepbench.errors import SepbenchError
from sepbench.inference import manifest, runner
from sepbench.registry import Method
from sepbench.separator import AnySeparator
from sepbench.stems import with_sums

if TYPE_CHECKING:
    from sepbench.inference.overlap_add import Samples

_CHUNK = 1 << 19
_BEFORE: dict[manifest.Origin, str] = {
    "same": "kept {}, made of this song in this way before",
    "unknown": "kept {}, whatever made them; --overwrite makes them anew",
    "other": "{} had been made of another song or with other settings",
}
_FIELDS = {"method", "track", "stem"}


@dataclass(frozen=True)
class SeparateOptions:
    """How songs are to be separated: the options of ``sepbench separate``."""

    out: Path
    stems: tuple[str, ...] = ()
    start: float = 0.0
    duration: float | None = None
    format: str = "wav"
    bit_depth: str = "24"
    pattern: str = "{method}/{track}/{stem}"
    device: str = "auto"
    spectrogram: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        audio.check_format(self.format, self.bit_depth)
        try:
            fields = {name for _, name, _, _ in string.Formatter().parse(self.pattern) if name}
        except ValueError as error:
            raise SepbenchError(f"--name {self.pattern!r}: {error}") from None
        if not fields <= _FIELDS or "stem" not in fields:
            raise SepbenchError(
                f"--name {self.pattern!r}: use {{method}}, {{track}} and {{stem}}, the last always"
            )

    def wanted(self, method: Method) -> list[str]:
        """Return the stems of a method to be written, sums of others among them if asked for.

        Raises `SepbenchError` for one that the method does not make.
        """
        made = list(method.declared.stems)
        if not self.stems:
            return made
        possible = list(with_sums(dict.fromkeys(made, 0)))
        for stem in self.stems:
            if stem not in possible:
                raise SepbenchError(
                    f"method {method.label} makes no stem {stem!r}; it has {', '.join(possible)}"
                )
        return list(self.stems)

    def path(self, method: Method, track: str, stem: str) -> Path:
        """Return where a stem goes: below ``out``, whatever the track is called."""
        names = {
            "method": audio.safe_name(method.label),
            "track": audio.safe_name(track),
            "stem": stem,
        }
        parts = PurePosixPath(self.pattern.format(**names)).parts
        safe = [audio.safe_name(part) for part in parts if part != "/"]
        return self.out.joinpath(*safe[:-1], f"{safe[-1]}.{self.format}")


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


@dataclass(frozen=True)
class Job:
    """One song to be separated with one method, the file of each stem, and that of a picture."""

    song: Path
    method: Method
    files: dict[str, Path]
    picture: Path


def plan(songs: Sequence[Path], methods: Sequence[Method], job: SeparateOptions) -> list[Job]:
    """Return what is to be done, song by song.

    Raises `SepbenchError` for an oracle, for a stem that a method does not make, and where a stem
    would be written over a song or over another stem.
    """
    for method in methods:
        if method.is_oracle:
            raise SepbenchError(
                f"method {method.label} is an oracle: it needs the true stems, "
                "so it runs in 'sepbench evaluate' alone"
            )
    orders = [
        Job(
            song,
            method,
            {stem: job.path(method, track, stem) for stem in job.wanted(method)},
            job.path(method, track, "spectrogram").with_suffix(".png"),
        )
        for song, track in zip(songs, audio.track_names(songs), strict=True)
        for method in methods
    ]
    sources = {song.resolve() for song in songs}
    claimed: dict[Path, Job] = {}
    for order in orders:
        for path in order.files.values():
            if path.resolve() in sources:
                raise SepbenchError(f"{path} is a song to be separated; choose another --out")
            if path in claimed:
                first = claimed[path]
                raise SepbenchError(
                    f"{path} would be written twice, for {first.song} ({first.method.label}) and "
                    f"{order.song} ({order.method.label}); "
                    "put {method}, {track} and {stem} into --name"
                )
            claimed[path] = order
    return orders


class SeparationSession:
    """Separates songs one after another; a method stays loaded from song to song."""

    def __init__(self, job: SeparateOptions) -> None:
        self._job = job
        self._device = runner.choose_device(job.device)
        self._loaded: dict[str, AnySeparator] = {}
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
        files, job = order.files, self._job
        done = 0
        with ExitStack() as stack:
            reader = stack.enter_context(audio.Reader(order.song))
            made_of = self._made_of(order)
            there = [path for path in files.values() if path.is_file() and not job.overwrite]
            before = {path: manifest.origin(path, made_of) for path in there}
            written = Result(order.song, order.method.label, files, before)
            missing = {stem: path for stem, path in files.items() if path not in written.kept}
            if not missing:
                return written
            separator = self._separator(order.method)
            started = time.perf_counter()
            rate, channels = reader.info.rate, reader.info.channels
            total = min(job.duration or math.inf, reader.info.seconds - job.start)
            writers = {
                stem: stack.enter_context(
                    audio.Writer(path, rate, channels, bit_depth=job.bit_depth)
                )
                for stem, path in missing.items()
            }
            chunks = _chunks(reader, separator, job)
            for part in runner.stream(separator, chunks, rate=rate, device=self._device):
                stems = with_sums(part)
                for stem, writer in writers.items():
                    writer.write(stems[stem])
                done += next(iter(part.values())).shape[1]
                on_progress(done / rate, total)
        manifest.remember(missing.values(), made_of)
        notes = [*reader.notes, *runner.notes(separator)]
        warnings = [f"{order.song}: {note}" for note in notes]
        warnings += [_clipping(writer) for writer in writers.values() if writer.clipped]
        return replace(
            written,
            seconds=time.perf_counter() - started,
            audio_seconds=done / rate,
            warnings=tuple(warnings),
        )

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
            **order.method.identity,
        }

    def _separator(self, method: Method) -> AnySeparator:
        if method.label not in self._loaded:
            separator = method.create()
            runner.load(separator, self._device)
            self._loaded[method.label] = separator
        return self._loaded[method.label]


def _chunks(
    reader: audio.Reader, separator: AnySeparator, job: SeparateOptions
) -> Iterator[Samples]:
    """Read piece by piece for a separator that works in blocks, at once for one that does not."""
    if separator.context is None:
        yield reader.read(start=job.start, duration=job.duration).samples
    else:
        yield from reader.blocks(_CHUNK, start=job.start, duration=job.duration)


def _clipping(writer: audio.Writer) -> str:
    cure = "" if writer.path.suffix == ".ogg" else "; --format wav --bit-depth 32f keeps them"
    return f"{writer.path}: {writer.clipped} samples clipped, peak {writer.peak:.2f}{cure}"
