"""What ``sepbench separate`` is to do: its options, and the files of each song and method."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sepbench import audio
from sepbench.errors import SepbenchError
from sepbench.inference import manifest
from sepbench.registry import Method
from sepbench.stems import rest_of, terms_of, with_sums

_FIELDS = {"method", "track", "hash", "stem"}


@dataclass(frozen=True)
class SeparateOptions:
    """How songs are to be separated: the options of ``sepbench separate``."""

    out: Path
    stems: tuple[str, ...] = ()
    start: float = 0.0
    duration: float | None = None
    format: str = "wav"
    bit_depth: str = "24"
    bitrate: int | None = None
    stream: int | None = None
    two_stems: str | None = None
    pattern: str = "{method}/{track}/{stem}"
    device: str = "auto"
    spectrogram: bool = False
    overwrite: bool = False
    isolate: bool = True

    def __post_init__(self) -> None:
        audio.check_format(self.format, self.bit_depth, self.bitrate)
        # Absolute at once: what a plugin does to the working folder moves no stem.
        object.__setattr__(self, "out", self.out.absolute())
        try:
            fields = {name for _, name, _, _ in string.Formatter().parse(self.pattern) if name}
        except ValueError as error:
            raise SepbenchError(f"--name {self.pattern!r}: {error}") from None
        if not fields <= _FIELDS or "stem" not in fields:
            raise SepbenchError(
                f"--name {self.pattern!r}: use {{method}}, {{track}} and {{stem}}, the last "
                "always, and {hash} to tell apart songs of one name"
            )

    def wanted(self, method: Method) -> list[str]:
        """Return the stems of a method to be written, sums of others among them if asked for.

        Raises `SepbenchError` for one that the method does not make.
        """
        made = list(method.declared.stems)
        if self.two_stems is not None:
            asked: tuple[str, ...] = (self.two_stems,)
        elif not self.stems:
            return made
        else:
            asked = self.stems
        possible = list(with_sums(dict.fromkeys(made, 0)))
        for stem in asked:
            if stem not in possible:
                raise SepbenchError(
                    f"method {method.label} makes no stem {stem!r}; it has {', '.join(possible)}"
                )
        if self.two_stems is None:
            return list(asked)
        if not set(made) - set(terms_of(self.two_stems, made)):
            raise SepbenchError(
                f"method {method.label} makes nothing but {self.two_stems}; leave --two-stems out"
            )
        return [*asked, rest_of(self.two_stems)]

    def path(self, method: Method, track: str, stem: str, *, mark: str = "") -> Path:
        """Return where a stem goes: below ``out``, whatever the track and its ``mark`` are."""
        names = {
            "method": audio.folder_name(method.label),
            "track": track,
            "hash": mark,
            "stem": stem,
        }
        parts = PurePosixPath(self.pattern.format(**names)).parts
        safe = [audio.safe_name(part) for part in parts if part != "/"]
        return self.out.joinpath(*safe[:-1], f"{safe[-1]}.{self.format}")


@dataclass(frozen=True)
class Job:
    """One song to be separated with one method, the file of each stem, and that of a picture."""

    song: Path
    method: Method
    files: dict[str, Path]
    picture: Path


def plan(songs: Sequence[Path], methods: Sequence[Method], options: SeparateOptions) -> list[Job]:
    """Return what is to be done, song by song.

    Where songs are called alike, the one that has stems keeps its name; if none has, it is the
    first by its path, whatever the order in which they come. Raises `SepbenchError` for an oracle,
    for a stem that a method does not make, and where a stem would be written over a song or over
    another stem.
    """
    for method in methods:
        if method.is_oracle:
            raise SepbenchError(
                f"method {method.label} is an oracle: it needs the true stems, "
                "so it runs in 'sepbench evaluate' alone"
            )
    sources = {song.resolve() for song in songs}
    claimed: dict[Path, Job] = {}
    jobs: dict[Path, list[Job]] = {}
    for song in sorted(songs, key=lambda song: os.fsencode(song.absolute())):
        jobs[song] = _jobs(song, methods, options, claimed)
        for job in jobs[song]:
            for path in job.files.values():
                if path.resolve() in sources:
                    raise SepbenchError(f"{path} is a song to be separated; choose another --out")
                if path in claimed:
                    first = claimed[path]
                    raise SepbenchError(
                        f"{path} would be written twice, for {first.song} ({first.method.label}) "
                        f"and {job.song} ({job.method.label}); "
                        "put {method}, {track} and {stem} into --name"
                    )
                claimed[path] = job
    return [job for song in songs for job in jobs[song]]


def _jobs(
    song: Path, methods: Sequence[Method], options: SeparateOptions, claimed: Mapping[Path, Job]
) -> list[Job]:
    """Return a song's jobs, under a name that no other song has taken, in this run or before."""
    mark = audio.path_hash(song)

    def called(track: str) -> list[Job]:
        def path(method: Method, stem: str) -> Path:
            return options.path(method, track, stem, mark=mark)

        return [
            Job(
                song,
                method,
                {stem: path(method, stem) for stem in options.wanted(method)},
                path(method, "spectrogram").with_suffix(".png"),
            )
            for method in methods
        ]

    def paths(jobs: Sequence[Job]) -> list[Path]:
        return [path for job in jobs for path in job.files.values()]

    plain, distinct = called(audio.track_name(song)), called(audio.distinct_track_name(song))
    if any(path.is_file() for path in set(paths(distinct)) - set(paths(plain))):
        return distinct
    taken = any(
        (path in claimed and claimed[path].song != song) or manifest.is_of_another_song(path, song)
        for path in paths(plain)
    )
    return distinct if taken else plain
