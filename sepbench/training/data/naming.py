"""Recognises parts of songs by file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sepbench import audio
from sepbench._util.walk import files
from sepbench.errors import SepbenchError
from sepbench.stems import MIXTURE, in_order, stem_of
from sepbench.training.data.recording import PARTS, Segment

_PARTS_OF = {"percussive": "drums", "percussion": "drums", "harmonic": "other"}
"""Stems that are used as a part in training."""

Parts = tuple[dict[str, list[Segment]], tuple[str, ...]]
"""The segments of each part, and the names of unused files."""


def audio_files(folder: Path) -> list[Path]:
    """Return the audio files in a folder."""
    return files(folder, audio.SUFFIXES)


def part_of_stem(stem: str) -> str:
    """Return the part that a data set's stem is, or is added to: ``other`` for instruments.

    >>> part_of_stem("percussive"), part_of_stem("guitar"), part_of_stem("accompaniment")
    ('drums', 'other', 'accompaniment')
    """
    return _part_of(stem, "other") or "other"


def folder_of_part(folder: Path, instrument: str | None = None) -> str | None:
    """Return the part named by a folder, ``instrument`` for a guitar or piano."""
    return _part_of(stem_of(folder, whole=True), instrument)


def is_song(found: Sequence[Path], rest: str | None) -> bool:
    """Return whether files are the stems of one song: at least one is a known part."""
    if rest == "harmonic":
        return any(_as_published(path) in ("vocals", "drums") for path in found)
    return any(_part_of(stem_of(path)) for path in found)


def parts_of(found: Sequence[Path], rest: str | None = None, *, is_folder: bool = False) -> Parts:
    """Return the parts of a song, given its files, or a folder for each of its stems.

    Guitars, pianos and other stems that are not parts are added to ``other``. ``rest`` decides on
    other files:

    ============  ============================================================================
    None          files whose names match no stem are left out
    ``other``     they are added to ``other`` too
    ``harmonic``  by the rule of MiXiN all that is neither vocals, drums nor a mixture is added
                  to ``other``, the bass too; several files of one part sound together
    ============  ============================================================================

    Raises `SepbenchError` if two files are the same part.
    """
    own: dict[str, list[Path]] = {}
    added: list[Path] = []
    left_out = []
    for path in found:
        stem = stem_of(path, whole=is_folder)
        if rest == "harmonic":
            part = _as_published(path)
            if part:
                own.setdefault(part, []).append(path)
        elif part := _part_of(stem):
            if part in own:
                raise SepbenchError(
                    f"{path.parent}: {own[part][0].name} and {path.name} are both {part}; "
                    "keep one of them"
                )
            own[part] = [path]
        elif stem is None and rest is None:
            left_out.append(f"{path.name}/" if is_folder else path.name)
        elif stem != MIXTURE:
            added.append(path)
    if own and added:
        own.setdefault("other", []).extend(added)
    segments = {part: [Segment(own[part][0], added=tuple(own[part][1:]))] for part in in_order(own)}
    return segments, tuple(left_out)


def _part_of(stem: str | None, instrument: str | None = None) -> str | None:
    if stem is None or stem == MIXTURE:
        return None
    part = _PARTS_OF.get(stem, stem)
    return part if part in PARTS else instrument


def _as_published(path: Path) -> str | None:
    """Return the part of a file by MiXiN's rule; None for a mixture or a whole backing."""
    stem, name = stem_of(path), path.name.lower()
    if stem in (MIXTURE, "accompaniment"):
        return None
    part = _part_of(stem)
    if part in ("vocals", "drums"):
        return part
    if part is None and ("drum" in name or "vocal" in name):
        return "drums" if "drum" in name else "vocals"
    return None if part is None and "mix" in name else "other"
