"""Finds the files that a user names, and names the files made from a song."""

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

from sepbench._util.text import counted
from sepbench._util.walk import MANIFEST, is_ignored, is_run, natural_order, written_stems
from sepbench.errors import SepbenchError

SUFFIXES = frozenset(
    ".3g2 .3ga .3gp .aac .ac3 .adts .aif .aifc .aiff .amr .ape .asf .au .avi .awb .caf .dff "
    ".dsf .dts .eac3 .f4v .flac .flv .m2t .m2ts .m4a .m4b .m4r .m4v .mka .mkv .mov .mp2 .mp3 "
    ".mp4 .mpa .mpc .mpeg .mpg .mts .oga .ogg .ogv .ogx .opus .qt .rf64 .snd .spx .ts .tta .vob "
    ".voc .w64 .wav .webm .wma .wmv .wv".split()
)
"""Suffixes of audio files in folders; a file given by name may have any."""

_STDIN = Path("/dev/stdin")
_LONGEST = 150
_MARK = 6
_NAMED = 8
_FOR_SHELLS = str.maketrans("[]{}", "()()")
_FORBIDDEN = frozenset('<>:"/\\|?*')
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)


@dataclass
class Found:
    """The songs found, each once, and the files skipped in folders.

    ``stems`` are files that sepbench itself separated, ``others`` are files without an audio
    suffix. ``folders`` has, for each song that was found in a folder, the one that was given.
    """

    songs: list[Path] = field(default_factory=list)
    folders: dict[Path, Path] = field(default_factory=dict)
    stems: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    @property
    def passed_by(self) -> list[str]:
        """Messages about skipped files."""
        lines = []
        if self.stems:
            lines.append(f"skipped {counted(len(self.stems), 'stem')} that sepbench wrote")
        if self.others:
            names = ", ".join(str(path) for path in self.others[:_NAMED])
            more = f" and {len(self.others) - _NAMED} more" if self.others[_NAMED:] else ""
            lines.append(f"skipped files without an audio suffix: {names}{more}")
        return lines


def find_songs(paths: Iterable[str | Path]) -> Found:
    """Return the audio files that files, globs and folders stand for.

    Folders are searched recursively for `SUFFIXES`. The files of a glob or folder are in natural
    order (``2`` before ``10``). ``-`` is standard input. Raises `SepbenchError` for a name without
    any file.
    """
    found = Found()
    songs: dict[Path, Path] = {}
    for path in paths:
        if re.match(r"[a-z][a-z0-9+.-]+://", str(path), re.IGNORECASE):
            raise SepbenchError(f"{path}: a web address, not a file; download it and give the file")
        for file, folder in _files(_opened(Path(path)), found):
            if songs.setdefault(file.resolve(), file) is file and folder is not None:
                found.folders[file] = folder
    found.songs = list(songs.values())
    return found


def _opened(path: Path) -> Path:
    """Return the file that an open one, such as ``-`` or ``/dev/stdin``, is on the disk."""
    if path == Path("-") and _STDIN.exists():
        path = _STDIN
    real = path.resolve()
    return real if path.is_relative_to(_STDIN.parent) and real.is_file() else path


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
        # A missing file is reported when its turn comes, so that the others are still processed.
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
    """Add the files of a folder tree; a link to a parent folder is not followed."""
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
    """Return the name of a song: its file name without the suffix, valid as a folder name.

    If the song was found below ``folder``, the folders in between come before its name.

    >>> track_name(Path("a/two [live].stem.mp4"))
    'two (live)'
    >>> track_name(Path("music/a/two.wav"), Path("music"))
    'a/two'
    """
    return _track_name(song, folder)


def distinct_track_name(song: Path, folder: Path | None = None) -> str:
    """Return the name of a song with a hash of its path, for songs with the same name.

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
    return hashlib.sha256(os.fsencode(os.path.abspath(song))).hexdigest()[:_MARK]


def track_names(songs: Sequence[Path]) -> list[str]:
    """Return a name for each song, with a hash of its path if two would have the same name."""
    counts = Counter(map(track_name, songs))
    return [
        track_name(song) if counts[track_name(song)] == 1 else distinct_track_name(song)
        for song in songs
    ]


def _bare(song: Path) -> str:
    return re.sub(r"\.stem\.mp4$|\.[^.]+$", "", song.name, flags=re.IGNORECASE) or song.name


def folder_name(name: str, *, mark: str = "") -> str:
    """Return ``name`` as `safe_name` does, without characters that shells expand.

    >>> folder_name("hpss[margin=2]")
    'hpss(margin=2)'
    """
    return safe_name(name.translate(_FOR_SHELLS), mark=mark)


def safe_name(name: str, *, mark: str = "") -> str:
    """Return ``name`` as one path component, valid on every file system, of at most 150 bytes.

    Spaces, accents and emoji are kept. A name that is too long ends in a hash of the full name,
    any other in ``mark`` if given.

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
