"""Which files a user means, and what to call the files made of a song."""

from __future__ import annotations

import glob
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sepbench._util.walk import files, natural_order, walk
from sepbench.errors import SepbenchError

SUFFIXES = frozenset(
    ".aac .aif .aifc .aiff .au .caf .flac .m4a .mka .mp3 .mp4 .oga .ogg .opus .rf64 .w64 .wav "
    ".wma".split()
)
"""Suffixes of the files that are taken from a folder; a file given by name may have any."""

_LONGEST = 150
_FORBIDDEN = frozenset('<>:"/\\|?*')
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)


def expand(paths: Iterable[str | Path]) -> list[Path]:
    """Return the audio files that files, globs and folders stand for, each once.

    Folders are searched to the bottom for `SUFFIXES`. What a glob or folder holds comes in natural
    order (``2`` before ``10``). Raises `SepbenchError` for what stands for no file.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if re.match(r"[a-z][a-z0-9+.-]+://", str(path), re.IGNORECASE):
            raise SepbenchError(f"{path}: an address, not a file; download it and give the file")
        for file in _files(Path(path)):
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        found = [file for folder in walk(path) for file in files(folder, SUFFIXES)]
        if not found:
            raise SepbenchError(f"{path}: no audio file in this folder")
        yield from sorted(found, key=natural_order)
    elif path.exists() or not glob.has_magic(str(path)):
        # A file that is not there is reported when its turn comes, so the others are not lost.
        yield path
    else:
        matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
        if not matches:
            raise SepbenchError(f"{path}: no file matches")
        for match in sorted(matches, key=natural_order):
            if match.is_dir():
                yield from _files(match)
            else:
                yield match


def track_names(songs: Sequence[Path]) -> list[str]:
    """Return what to call each song: its file's name, and more of it where two would be alike.

    >>> track_names([Path("a/one.wav"), Path("a/two.stem.mp4")])
    ['one', 'two']
    >>> track_names([Path("a/one.wav"), Path("b/one.wav"), Path("b/one.mp3")])
    ['a - one.wav', 'b - one.wav', 'one.mp3']
    """
    choices = [
        [
            re.sub(r"\.stem\.mp4$|\.[^.]+$", "", song.name, flags=re.IGNORECASE) or song.name,
            song.name,
            f"{song.absolute().parent.name} - {song.name}",
            str(song),
        ]
        for song in songs
    ]
    counts = [Counter(names) for names in zip(*choices, strict=True)]

    def unique(names: Sequence[str]) -> str:
        alone = (name for name, count in zip(names, counts, strict=True) if count[name] == 1)
        return next(alone, names[-1])

    return [unique(names) for names in choices]


def safe_name(name: str) -> str:
    """Return ``name`` as one path component that every file system takes, at most 150 bytes long.

    Spaces, accents and emoji are kept.

    >>> safe_name("AC/DC: Live")
    'AC_DC_ Live'
    >>> safe_name("..")
    '_'
    """
    kept = "".join(
        "_" if letter in _FORBIDDEN or unicodedata.category(letter) in {"Cc", "Cs"} else letter
        for letter in name
    )
    kept = kept.encode()[:_LONGEST].decode(errors="ignore").strip(" ").rstrip(" .")
    if not kept or kept.startswith(".") or _RESERVED.match(kept):
        # One byte may have to go for the one in front.
        kept = f"_{kept}".encode()[:_LONGEST].decode(errors="ignore").rstrip(" .")
    return kept
