"""Finds the files of stems that other programs made of tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sepbench import audio
from sepbench._util.text import composed
from sepbench._util.walk import files, named
from sepbench.errors import SepbenchError
from sepbench.evaluation.store import unique_name
from sepbench.stems import MIXTURE, stem_of

if TYPE_CHECKING:
    from sepbench.datasets.base import Track


@dataclass(frozen=True)
class Estimates:
    """The stem files of one track."""

    track: Track
    files: dict[str, Path]


def find(folder: Path, tracks: Sequence[Track]) -> list[Estimates]:
    """Return the tracks with stems in ``folder``, and the file of each stem.

    Looks for ``<subset>/<track>/<stem>.wav`` as museval and musdb write it, ``<track>/<stem>.wav``,
    ``<track>_<stem>.wav``, and, for a single track, ``<stem>.wav``, with any audio suffix.
    Raises `SepbenchError` if no track has estimates, and for a file that may belong to two tracks.
    """
    if not folder.is_dir():
        raise SepbenchError(f"{folder}: no such folder of estimates")
    found = [Estimates(track, files_of(folder, track, alone=len(tracks) == 1)) for track in tracks]
    found = [estimates for estimates in found if estimates.files]
    _refuse_shared(found)
    if not found:
        raise SepbenchError(
            f"{folder}: no stems of any of {len(tracks)} tracks; name them <track>/<stem>.wav, "
            f"for example '{audio.safe_name(tracks[0].name)}/vocals.wav'"
        )
    return found


def _refuse_shared(found: Sequence[Estimates]) -> None:
    """Raise `SepbenchError` if two tracks have the same file, as their safe names are the same."""
    owners: dict[Path, Track] = {}
    for one in found:
        for path in one.files.values():
            first = owners.setdefault(path, one.track)
            if first is not one.track:
                raise SepbenchError(
                    f"{path}: could be of track {first.name!r} or {one.track.name!r}; "
                    f"put the stems of the latter into a folder {unique_name(one.track.name)!r}"
                )


def files_of(folder: Path, track: Track, *, alone: bool) -> dict[str, Path]:
    """Return the file of each stem of a track; see `find`.

    If the track is ``alone``, files without its name are of it.
    """
    for name in folder_names(track):
        for parent in (folder / track.subset, folder):
            if (place := named(parent, name)) and place.is_dir():
                return _named(place, "")
        # Not 'a' of the files of 'a_b'.
        if prefixed := _named(folder, f"{name}_", whole=True):
            return prefixed
    return _named(folder, "") if alone else {}


def folder_names(track: Track) -> list[str]:
    """Return the names that a folder with the stems of a track may have."""
    plain = [track.name, unique_name(track.name)]  # The second is how runs keep stems.
    plain += [audio.safe_name(track.name), audio.folder_name(track.name)]
    return list(dict.fromkeys(plain))


def _named(folder: Path, prefix: str, *, whole: bool = False) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files(folder, audio.SUFFIXES):
        name = composed(path.name)
        if not name.startswith(prefix):
            continue
        stem = stem_of(name.removeprefix(prefix), whole=whole)
        if stem is None or stem == MIXTURE:
            continue
        if stem in found:
            raise SepbenchError(
                f"{folder}: {found[stem].name} and {path.name} are both {stem}; keep one of them"
            )
        found[stem] = path
    return found
