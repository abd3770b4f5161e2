"""Which files a user means, and what to call the files made of a song."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sepbench._util.walk import MANIFEST, is_ignored, is_run, natural_order, written_stems
from sepbench.errors import SepbenchError

SUFFIXES = frozenset(
    ".3g2 .3ga .3gp .aac .ac3 .adts .aif .aifc .aiff .amr .ape .asf .au .avi .awb .caf .dff "
    ".dsf .dts .eac3 .f4v .flac .flv .m2t .m2ts .m4a .m4b .m4r .m4v .mka .mkv .mov .mp2 .mp3 "
    ".mp4 .mpa .mpc .mpeg .mpg .mts .oga .ogg .ogv .ogx .opus .qt .rf64 .snd .spx .ts .tta .vob "
    ".voc .w64 .wav .webm .wma .wmv .wv".split()
)
"""Suffixes of the files that are taken from a folder; a file given by name may have any."""

_LONGEST = 150
_MARK = 6
_NAMED = 8
_FOR_SHELLS = str.maketrans("[]{}", "()()")
_FORBIDDEN = frozenset('<>:"/\\|?*')
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)


@dataclass
class Found:
    """The songs that names stand for, each once, and what was passed by in folders.

    ``stems`` are files that sepbench separated itself, ``others`` those that are no sound by their
    names. ``folders`` has, for each song that was found in a folder, the one that was given.
    """

    songs: list[Path] = field(default_factory=list)
    folders: dict[Path, Path] = field(default_factory=dict)
    stems: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    @property
    def passed_by(self) -> list[str]:
        """What was passed by, in lines for a person."""
        lines = []
        if self.stems:
            lines.append(f"passed by {len(self.stems)} stems that sepbench wrote")
        if self.others:
            names = ", ".join(str(path) for path in self.others[:_NAMED])
            more = f" and {len(self.others) - _NAMED} more" if self.others[_NAMED:] else ""
            lines.append(f"passed by what is no sound by its name: {names}{more}")
        return lines


def find_songs(paths: Iterable[str | Path]) -> Found:
    """Return the audio files that files, globs and folders stand for.

    Folders are searched to the bottom for `SUFFIXES`. What a glob or folder holds comes in natural
    order (``2`` before ``10``). Raises `SepbenchError` for what stands for no file.
    """
    found = Found()
    songs: dict[Path, Path] = {}
    for path in paths:
        if re.match(r"[a-z][a-z0-9+.-]+://", str(path), re.IGNORECASE):
            raise SepbenchError(f"{path}: an address, not a file; download it and give the file")
        for file, folder in _files(Path(path), found):
            if songs.setdefault(file.resolve(), file) is file and folder is not None:
                found.folders[file] = folder
    found.songs = list(songs.values())
    return found


def _files(path: Path, found: Found) -> Iterator[tuple[Path, Path | None]]:
    """Yield the files that a path stands for, each with the folder in which it was found."""
    if path.is_dir():
        inside = Found()
        _search(path, inside, set())
        found.stems += inside.stems
        found.others += inside.others
        if not inside.songs:
            alone = ", only stems that sepbench wrote; name a file to separate it again"
            raise SepbenchError(
                f"{path}: no audio file in this folder{alone if inside.stems else ''}"
            )
        yield from ((song, path) for song in sorted(inside.songs, key=natural_order))
    elif path.exists() or not glob.has_magic(str(path)):
        # A file that is not there is reported when its turn comes, so the others are not lost.
        yield path, None
    else:
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        stems = {match for match in matches if match.name in written_stems(match.parent)}
        found.stems += sorted(stems)
        if not matches:
            raise SepbenchError(f"{path}: no file matches")
        for match in sorted(set(matches) - stems, key=natural_order):
            if match.is_dir():
                yield from _files(match, found)
            else:
                yield match, None


def _search(folder: Path, found: Found, above: set[Path]) -> None:
    """Add what a folder and those below it hold; a link to a folder above is not followed."""
    here = folder.resolve()
    if here in above:
        return
    own = written_stems(folder)
    for path in sorted(folder.iterdir(), key=natural_order):
        if is_ignored(path.name):
            continue
        if path.is_dir():
            if not is_run(path):
                _search(path, found, above | {here})
        elif path.name in own:
            found.stems.append(path)
        elif path.suffix.lower() in SUFFIXES:
            found.songs.append(path)
        elif path.name != MANIFEST and not (own and path.suffix == ".png"):
            found.others.append(path)


def track_name(song: Path, folder: Path | None = None) -> str:
    """Return what to call a song: its file's name without the suffix, as a folder's name.

    Of a song that was found below a ``folder``, the folders between come before it.

    >>> track_name(Path("a/two [live].stem.mp4"))
    'two (live)'
    >>> track_name(Path("music/a/two.wav"), Path("music"))
    'a/two'
    """
    return _track_name(song, folder)


def distinct_track_name(song: Path, folder: Path | None = None) -> str:
    """Return the name for a song beside others that are called as it is: with a hash of its path.

    >>> distinct_track_name(Path("/a/two.wav"))
    'two-626f06'
    """
    return _track_name(song, folder, mark=path_hash(song))


def _track_name(song: Path, folder: Path | None, *, mark: str = "") -> str:
    between = () if folder is None else song.relative_to(folder).parts[:-1]
    return "/".join([*map(folder_name, between), folder_name(_bare(song), mark=mark)])


def path_hash(song: Path) -> str:
    """Return a short hash of a song's absolute path.

    >>> path_hash(Path("/a/two.wav"))
    '626f06'
    """
    return hashlib.sha256(os.fsencode(song.absolute())).hexdigest()[:_MARK]


def track_names(songs: Sequence[Path]) -> list[str]:
    """Return a name for each song, with a hash of its path where two would be called alike."""
    counts = Counter(map(track_name, songs))
    return [
        track_name(song) if counts[track_name(song)] == 1 else distinct_track_name(song)
        for song in songs
    ]


def _bare(song: Path) -> str:
    return re.sub(r"\.stem\.mp4$|\.[^.]+$", "", song.name, flags=re.IGNORECASE) or song.name


def folder_name(name: str, *, mark: str = "") -> str:
    """Return ``name`` as `safe_name` does, and without the letters that shells expand.

    >>> folder_name("hpss[margin=2]")
    'hpss(margin=2)'
    """
    return safe_name(name.translate(_FOR_SHELLS), mark=mark)


def safe_name(name: str, *, mark: str = "") -> str:
    """Return ``name`` as one path component that every file system takes, at most 150 bytes long.

    Spaces, accents and emoji are kept. A name that is too long ends in a hash of the whole, any
    other in ``mark`` if one is given.

    >>> safe_name("AC/DC: Live")
    'AC_DC_ Live'
    >>> safe_name("..")
    '_'
    """
    kept = "".join(
        "_" if letter in _FORBIDDEN or unicodedata.category(letter) in {"Cc", "Cs"} else letter
        for letter in name
    )
    kept = kept.strip(" ").rstrip(" .")
    if not kept or kept.startswith(".") or _RESERVED.match(kept):
        kept = f"_{kept}".rstrip(" .")
    room = _LONGEST - (len(mark) + 1 if mark else 0)
    if not mark and len(kept.encode()) > _LONGEST:
        mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_MARK]
        room = _LONGEST - len(mark) - 1
    kept = kept.encode()[:room].decode(errors="ignore").rstrip(" .")
    return f"{kept}-{mark}" if mark else kept
