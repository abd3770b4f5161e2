"""The jobs of ``sepbench separate``: its options, and the output files of each song and method."""

from __future__ import annotations

import os
import string
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sepbench import audio
from sepbench.errors import SepbenchError
from sepbench.inference import manifest
from sepbench.registry import Method
from sepbench.stems import rest_of, with_sums

_FIELDS = {"method", "track", "hash", "stem"}


@dataclass(frozen=True)
class SeparateOptions:
    """The options of ``sepbench separate``."""

    out: Path
    stems: tuple[str, ...] = ()
    start: float = 0.0
    duration: float | None = None
    format: str = "wav"
    bit_depth: str | None = None
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
        # Absolute, in case a plugin changes the working directory.
        object.__setattr__(self, "out", self.out.absolute())
        _check_pattern(self.pattern)

    def wanted(self, method: Method) -> list[str]:
        """Return the stems of a method to write, which may be sums.

        Raises `SepbenchError` for an unknown stem.
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
                    f"method {method.label} has no stem {stem!r}; it has {', '.join(possible)}"
                )
        if self.two_stems is None:
            return list(asked)
        return [*asked, rest_of(self.two_stems)]

    def path(self, method: Method, track: str, stem: str, *, mark: str = "") -> Path:
        """Return the path of a stem, which is always below ``out``."""
        names = {
            "method": audio.folder_name(method.label),
            "track": track,
            "hash": mark,
            "stem": stem,
        }
        parts = PurePosixPath(self.pattern.format(**names)).parts
        safe = [audio.safe_name(part) for part in parts if part != "/"]
        return self.out.joinpath(*safe[:-1], f"{safe[-1]}.{self.format}")


def _check_pattern(pattern: str) -> None:
    """Raise `SepbenchError` for a pattern with unknown fields or without the stem."""
    try:
        parts = [part for part in string.Formatter().parse(pattern) if part[1] is not None]
    except ValueError as error:
        raise SepbenchError(f"--name {pattern!r}: {error}") from None
    fields = {name for _, name, _, _ in parts}
    if any(spec or conversion for _, _, spec, conversion in parts):
        raise SepbenchError(
            f"--name {pattern!r}: use {{method}}, {{track}}, {{stem}} and {{hash}} alone, "
            "without ':' or '!' in the braces"
        )
    if not fields <= _FIELDS or "stem" not in fields:
        raise SepbenchError(
            f"--name {pattern!r}: use {{method}}, {{track}} and {{stem}}, the last "
            "always, and {hash} to tell apart songs of one name"
        )


@dataclass(frozen=True)
class Job:
    """One song and method, the file of each stem, and that of a picture."""

    song: Path
    method: Method
    files: dict[str, Path]
    picture: Path


def plan(
    songs: Sequence[Path],
    methods: Sequence[Method],
    options: SeparateOptions,
    folders: Mapping[Path, Path] | None = None,
) -> list[Job]:
    """Return the jobs, song by song.

    A song is called as its file is, after the folders between it and that of ``folders`` in which
    it was found. If that name belongs to another song, of an earlier run or earlier in this one, a
    hash of its path is added: so songs together are called as they would be one after another. A
    song that has stems keeps their name. Raises `SepbenchError` for an oracle, for a stem that a
    method does not make, and where a stem would be written over a song or over another stem.
    """
    for method in methods:
        if method.is_oracle:
            raise SepbenchError(
                f"method {method.label} is an oracle: it needs the true stems, "
                "so it runs in 'sepbench evaluate' alone"
            )
    planned, disk = _Planned(methods, options, folders or {}), _Disk(options.out)
    chosen: list[Job] = []
    taken: set[str] = set()
    for song in songs:
        plain, distinct = planned.jobs(song), planned.jobs(song, distinct=True)
        is_taken = any(_alike(path) in taken for path in _paths(plain))
        keeps_name = _keeps_name(song, disk, plain, distinct, is_taken=is_taken)
        jobs = plain if keeps_name else distinct
        taken.update(map(_alike, _paths(jobs)))
        chosen += jobs
    _check_places(songs, chosen)
    return chosen


@dataclass(frozen=True)
class _Planned:
    """Makes the jobs of a song, under its name or, where that is another's too, a distinct one."""

    methods: Sequence[Method]
    options: SeparateOptions
    folders: Mapping[Path, Path]

    def jobs(self, song: Path, *, distinct: bool = False) -> list[Job]:
        """Return one job a method."""
        named = audio.distinct_track_name if distinct else audio.track_name
        track, mark = named(song, self.folders.get(song)), audio.path_hash(song)

        def path(method: Method, stem: str) -> Path:
            return self.options.path(method, track, stem, mark=mark)

        return [
            Job(
                song,
                method,
                {stem: path(method, stem) for stem in self.options.wanted(method)},
                path(method, "spectrogram").with_suffix(".png"),
            )
            for method in self.methods
        ]


class _Disk:
    """Finds files whose names some file systems take for the same."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._names: dict[Path, dict[str, str]] = {}

    def alike(self, path: Path) -> Path:
        """Return the existing path at which a path below the top would be written."""
        place = self._top
        for part in path.relative_to(self._top).parts:
            exact = place / part
            place = exact if exact.exists() else place / self._listed(place).get(_alike(part), part)
        return place

    def _listed(self, folder: Path) -> dict[str, str]:
        if folder not in self._names:
            names = os.listdir(folder) if folder.is_dir() else []
            self._names[folder] = {_alike(name): name for name in names}
        return self._names[folder]


def _keeps_name(
    song: Path, disk: _Disk, plain: Sequence[Job], distinct: Sequence[Job], *, is_taken: bool
) -> bool:
    """Return whether a song is called as its file is, as no other song is.

    ``is_taken`` says that another song of this run is.
    """
    places, others = ({disk.alike(path) for path in _paths(jobs)} for jobs in (plain, distinct))
    there = _there(places, others)
    owners = {manifest.owner(path, song) for path in there}
    if "this" in owners:
        return "another" not in owners and not is_taken
    if _there(others, places) - there:
        return False
    return not is_taken and "another" not in owners


def _there(places: set[Path], others: set[Path]) -> set[Path]:
    """Return which files exist, and all stems in folders that other names do not use.

    So neither another format nor other stems bring two songs together in one folder.
    """
    folders = {path.parent for path in places} - {path.parent for path in others}
    found = {path for folder in folders for path in manifest.stems(folder)}
    return found | {path for path in places if path.is_file()}


def _paths(jobs: Sequence[Job]) -> list[Path]:
    return [path for job in jobs for path in job.files.values()]


def _alike(path: Path | str) -> str:
    """Return what is equal of paths that some file systems take for one."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _check_places(songs: Sequence[Path], jobs: Sequence[Job]) -> None:
    sources = {song.resolve() for song in songs}
    claimed: dict[Path, Job] = {}
    for job in jobs:
        for path in job.files.values():
            if path.resolve() in sources:
                raise SepbenchError(f"{path} is one of the songs; choose another --out")
            if path in claimed:
                first = claimed[path]
                raise SepbenchError(
                    f"{path} would be written twice, for {first.song} ({first.method.label}) "
                    f"and {job.song} ({job.method.label}); "
                    "put {method}, {track} and {stem} into --name"
                )
            claimed[path] = job
