"""Finds the files of stems that other programs made of tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sepbench import audio
from sepbench._util.files import sha256
from sepbench._util.text import composed
from sepbench._util.walk import files, folders, named
from sepbench.errors import SepbenchError
from sepbench.evaluation.store import unique_name
from sepbench.stems import MIXTURE, stem_of

if TYPE_CHECKING:
    from sepbench.datasets.base import Track


@dataclass(frozen=True)
class Estimates:
    """The stem files of one track.

    ``problem`` says why they cannot be scored, such as two files of one stem.
    """

    track: Track
    files: dict[str, Path]
    problem: str | None = None

    def digests(self) -> dict[str, str]:
        """Return the sha256 of each file; one that cannot be read costs its track when loaded."""
        return {stem: _sha256(path) for stem, path in self.files.items()}


def _sha256(path: Path) -> str:
    try:
        return sha256(path)
    except SepbenchError:
        return "unreadable"


def find(folder: Path, tracks: Sequence[Track]) -> list[Estimates]:
    """Return the tracks with stems in ``folder``, and the file of each stem.

    Looks for ``<subset>/<track>/<stem>.wav`` as museval and musdb write it, ``<track>/<stem>.wav``,
    ``<track>_<stem>.wav``, and, for a single track, ``<stem>.wav``, with any audio suffix.
    Two files of one stem, or a file that may belong to two tracks, are a ``problem`` of these
    tracks. Raises `SepbenchError` if no track has estimates.
    """
    if not folder.is_dir():
        raise SepbenchError(f"{folder}: no such folder of estimates")
    found = [files_of(folder, track, alone=len(tracks) == 1) for track in tracks]
    found = [estimates for estimates in found if estimates.files or estimates.problem]
    if not found:
        below = _folder_below(folder, tracks)
        example = f"{audio.safe_name(tracks[0].name)}/vocals.wav"
        cure = (
            f"name them <track>/<stem>.wav, for example '{example}'"
            if below is None
            else f"the folder {below} has some, give that one"
        )
        raise SepbenchError(f"{folder}: no stems of any of {len(tracks)} tracks; {cure}")
    return _with_shared(found)


def _folder_below(folder: Path, tracks: Sequence[Track]) -> Path | None:
    """Return the first folder inside with stems of a track: many programs write one a model."""
    for place in folders(folder):
        if any(files_of(place, track, alone=False).files for track in tracks):
            return place
    return None


def _with_shared(found: Sequence[Estimates]) -> list[Estimates]:
    """Note files that two tracks have, as their safe names are the same, as a problem of both."""
    owners: dict[Path, Track] = {}
    problems: dict[tuple[str, str], str] = {}
    for one in found:
        for path in one.files.values():
            first = owners.setdefault(path, one.track)
            if first is not one.track:
                problems[first.song] = problems[one.track.song] = (
                    f"{path}: could be of track {first.name!r} or {one.track.name!r}; "
                    f"put the stems of the latter into a folder {unique_name(one.track.name)!r}"
                )
    return [replace(one, problem=problems.get(one.track.song, one.problem)) for one in found]


def files_of(folder: Path, track: Track, *, alone: bool) -> Estimates:
    """Return the file of each stem of a track; see `find`.

    If the track is ``alone``, files without its name are of it.
    """
    try:
        for name in folder_names(track):
            for parent in (folder / track.subset, folder):
                if (place := named(parent, name)) and place.is_dir():
                    return _named(place, track)
            # Not 'a' of the files of 'a_b'.
            prefixed = _named(folder, track, f"{name}_", whole=True)
            if prefixed.files:
                return prefixed
    except SepbenchError as error:  # Two folders of this track's name.
        return Estimates(track, {}, str(error))
    return _named(folder, track) if alone else Estimates(track, {})


def folder_names(track: Track) -> list[str]:
    """Return the names that a folder with the stems of a track may have."""
    plain = [track.name, unique_name(track.name)]  # The second is how runs keep stems.
    plain += [audio.safe_name(track.name), audio.folder_name(track.name)]
    return list(dict.fromkeys(plain))


def _named(folder: Path, track: Track, prefix: str = "", *, whole: bool = False) -> Estimates:
    found: dict[str, Path] = {}
    problem = None
    for path in files(folder, audio.SUFFIXES):
        name = composed(path.name)
        if not name.startswith(prefix):
            continue
        stem = stem_of(name.removeprefix(prefix), whole=whole)
        if stem is None or stem == MIXTURE:
            continue
        if stem in found:
            first = found[stem].name
            problem = f"{folder}: {first} and {path.name} are both {stem}; keep one of them"
        found.setdefault(stem, path)
    return Estimates(track, found, problem)
