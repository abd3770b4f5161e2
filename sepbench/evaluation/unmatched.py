"""What has no counterpart between a folder of estimates and the tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sepbench import audio
from sepbench._util.text import composed
from sepbench._util.walk import files, folders
from sepbench.evaluation.estimate_files import Estimates, folder_names
from sepbench.stems import MIXTURE, STEMS, in_order, merge_into_other, stem_of, with_sums

if TYPE_CHECKING:
    from sepbench.datasets.base import Track
    from sepbench.evaluation.records import Record


def incomplete(found: Sequence[Estimates]) -> list[str]:
    """Report stems that have an estimate on only some tracks."""
    made = {one.track.name: with_sums(dict.fromkeys(one.files, 0)) for one in found}
    lines = []
    for stem in in_order(stem for one in found for stem in one.files):
        without = [name for name, stems in made.items() if stem not in stems]
        if without:
            lines.append(
                f"no {stem} of {len(without)} of {len(made)} tracks, {without[0]!r} the first"
            )
    return lines


def without_reference(found: Sequence[Estimates], records: Sequence[Record]) -> list[str]:
    """Report stems that are part of no score, as their tracks have no reference of them."""
    tracks: dict[str, list[str]] = {}
    scored = [record for record in records if record.error is None]
    files = {one.track.song: one.files for one in found}
    for record in scored:
        names = list(files[record.song])
        # No song has a reference of the residual.
        for stem in set(names) - _used(names, record.stems) - {"residual"}:
            tracks.setdefault(stem, []).append(record.track)
    return [
        f"no reference of {stem} on {len(names)} of {len(scored)} tracks, {names[0]!r} the first; "
        "it is not scored"
        for stem, names in ((stem, tracks[stem]) for stem in in_order(tracks))
    ]


def _used(made: Sequence[str], scored: Iterable[str]) -> set[str]:
    """Return the stems that are scored, or are in a sum that is.

    >>> sorted(_used(["vocals", "drums", "bass", "other", "guitar"], ["vocals", "accompaniment"]))
    ['bass', 'drums', 'guitar', 'other', 'vocals']
    >>> sorted(_used(["vocals", "drums", "guitar"], ["vocals"]))
    ['vocals']
    """
    names = list(scored)
    terms = {stem: (stem,) for stem in made}
    if "other" in terms:
        terms = merge_into_other(terms, [*names, "other"])
    terms = with_sums({stem: each for stem, each in terms.items() if stem in (*STEMS, *names)})
    return {term for name in names for term in terms.get(name, ())}


def unmatched_folders(
    folder: Path, found: Sequence[Estimates], every: Callable[[], Sequence[Track]]
) -> list[Path]:
    """Return the folders with stems that belong to no track.

    ``every`` returns all tracks of the data set, of which those with estimates may be a choice.
    """
    known = {path.parent for one in found for path in one.files.values()}
    subsets = {folder / one.track.subset for one in found}
    places = [place for parent in (folder, *subsets) for place in folders(parent)]
    others = [place for place in places if place not in known | subsets and _has_stems(place)]
    if not others:
        return []
    names = {name for track in every() for name in folder_names(track)}
    return [place for place in others if composed(place.name) not in names]


def _has_stems(folder: Path) -> bool:
    named = (stem_of(path.name) for path in files(folder, audio.SUFFIXES))
    return any(stem not in (None, MIXTURE) for stem in named)
