"""Training data of the command line: folders, and data sets by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sepbench import audio
from sepbench._util.text import song_keys
from sepbench._util.walk import is_output
from sepbench.errors import SepbenchError
from sepbench.inference import manifest
from sepbench.stems import disjoint, in_order
from sepbench.training.data.choice import Choice, left_out
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.naming import part_of_stem
from sepbench.training.data.prepare import prepare
from sepbench.training.data.prepared import PreparedDataset, is_prepared, open_prepared
from sepbench.training.data.recording import Decoded, Recording
from sepbench.training.data.splits import assign_splits
from sepbench.training.data.teacher import TeacherConfig, label_songs

if TYPE_CHECKING:
    from sepbench.datasets import Dataset
    from sepbench.datasets import Track as DatasetTrack

_LAYOUTS = ("musdb18-hq", "musdb18", "musdb18-7s", "dsd100")
"""Data sets recognised in folders, for their subsets."""

_EVERYTHING = Choice()


def tracks_of(
    data: Sequence[str], choice: Choice = _EVERYTHING, labelled: Sequence[Recording] = ()
) -> list[Recording]:
    """Return the chosen tracks of folders and data sets, with their splits.

    ``labelled`` songs are chosen from, too. They serve for training alone, so those by whose names
    others serve for validation or tests are left out. Raises `SepbenchError` if a folder is inside
    another one.
    """
    found = [track for where in _distinct(data) for track in _tracks(where, choice.rest)]
    # A song with stems may have the name, and its folder that, of a labelled one.
    own = set(map(id, labelled))
    chosen = choice.of([*found, *labelled])
    tracks = assign_splits([song for song in chosen if id(song) not in own])
    kept = frozenset().union(*(song_keys(song.name) for song in tracks if song.split != "train"))
    labels = [song for song in chosen if id(song) in own and not song_keys(song.name) & kept]
    return choice.cut([*tracks, *labels])


def check_data(data: Iterable[str]) -> None:
    """Raise `SepbenchError` for what is neither a folder nor a data set with songs to train on."""
    for where in data:
        if not Path(where).is_dir():
            _named(where)


def _distinct(data: Sequence[str]) -> list[str]:
    """Return the folders and data sets, each once; raise for a folder inside another one."""
    places = {Path(where).resolve() if Path(where).is_dir() else where: where for where in data}
    for place, where in places.items():
        if isinstance(place, Path) and (around := [*filter(places.get, place.parents)]):
            raise SepbenchError(
                f"{where}: is in {places[around[0]]}, which is given too; give one of them"
            )
    return list(places.values())


def _tracks(where: str, rest: str | None) -> list[Recording]:
    folder = Path(where)
    if not folder.is_dir():
        return _dataset_tracks(_named(where))
    if _is_separated(folder):
        raise SepbenchError(
            f"{folder}: has stems made by 'sepbench separate', which cannot be used as references; "
            "give another folder, or move them"
        )
    known = _known(folder)
    return find_tracks(folder, read=_read, rest=rest) if known is None else _dataset_tracks(known)


def _read(folder: Path) -> list[Recording] | None:
    """Return the tracks of a data set's folder, ``[]`` for output of sepbench, else None."""
    if is_output(folder) or is_prepared(folder):
        return []
    known = _known(folder)
    return None if known is None else _dataset_tracks(known)


def _is_separated(folder: Path) -> bool:
    return (folder / manifest.NAME).is_file()


def _named(name: str) -> Dataset:
    """Return the data set of a name; raise for one that is missing or only for tests."""
    from sepbench.datasets import open_dataset
    from sepbench.datasets.files import FileDataset

    try:
        dataset = open_dataset(name)
    except SepbenchError as error:
        what = "a file, not a folder" if Path(name).is_file() else "no such folder"
        raise SepbenchError(f"{name}: {what}, and {error}") from None
    if not dataset.is_available:
        variables = f", or set {dataset.variables}" if isinstance(dataset, FileDataset) else ""
        raise SepbenchError(
            f"data set {dataset.name} not found in {', '.join(map(str, dataset.places()))}; "
            f"give its folder instead of its name{variables}. {dataset.how_to_get}"
        )
    if not dataset.tracks("train"):
        raise SepbenchError(
            f"data set {dataset.name} has no songs to train on; see 'sepbench data' for others"
        )
    return dataset


@cache
def _layouts() -> list[type[Dataset]]:
    """Return the data sets of `_LAYOUTS`, loaded once: there may be thousands of folders."""
    from sepbench.datasets import all_datasets

    known = {kind.name: kind for kind in all_datasets()}
    return [known[name] for name in _LAYOUTS if name in known]


def _known(folder: Path) -> Dataset | None:
    """Return the data set in a folder, None if unknown."""
    for layout in _layouts():
        dataset = layout(folder)
        if not dataset.is_available:  # Its songs would be searched for elsewhere, for a hint.
            continue
        with suppress(SepbenchError):  # one of two similar data sets raises
            # Songs that all lack a stem are the user's own in the same layout.
            if any(getattr(track, "problem", None) is None for track in dataset.tracks("all")):
                return dataset
    return None


def prepared_dataset(
    data: Sequence[str],
    folder: Path,
    rate: int,
    *,
    choice: Choice = _EVERYTHING,
    teacher: TeacherConfig | None = None,
    device: str = "auto",
    must_label: bool = False,
    same: bool = False,
) -> tuple[PreparedDataset, list[str]]:
    """Return one prepared folder as it is, or prepare other data in ``folder``.

    Songs without stems in other data are labelled by ``teacher`` on ``device``. The second value
    has a line for each skipped recording, with the reason. Raises `SepbenchError` if prepared data
    has another rate, if ``must_label`` or a choice applies only to unprepared data, and if the
    songs in ``folder`` must be the ``same`` and would be labelled or cut in another way.
    """
    skipped: list[str] = []
    prepared = [where for where in data if is_prepared(Path(where))]
    if prepared and len(data) > 1:
        raise SepbenchError(
            f"{prepared[0]}: already prepared, so it must be the only data; "
            "give all data to one 'sepbench prepare', or none of it prepared"
        )
    if prepared and must_label:
        raise SepbenchError(
            f"{prepared[0]}: prepared already; label songs by 'sepbench prepare --teacher'"
        )
    if prepared and choice.preparing:
        raise SepbenchError(
            f"{prepared[0]}: prepared already; give {choice.preparing[0]} to 'sepbench prepare'"
        )
    if prepared:
        dataset = open_prepared(Path(data[0]), verify=True)
        chosen = choice.of(dataset.tracks)
        dataset = dataset.of(chosen) if len(chosen) < len(dataset.tracks) else dataset
    else:
        labelled = label_songs(teacher, data, device=device, required=must_label) if teacher else []
        tracks = tracks_of(data, choice, labelled)
        dataset, skipped = prepare(tracks, folder, rate=rate, same=same)
        skipped += left_out(tracks)
    if dataset.rate != rate:
        raise SepbenchError(
            f"{data[0]}: prepared at {dataset.rate} Hz, but the config wants {rate} Hz; "
            f"run 'sepbench prepare --rate {rate}'"
        )
    return dataset, skipped


def _dataset_tracks(dataset: Dataset) -> list[Recording]:
    return [_recording(dataset.name, track) for track in dataset.tracks("all")]


def _recording(source: str, track: DatasetTrack) -> Recording:
    """Return a data set's track, with its instruments added to ``other``."""
    stems: dict[str, list[str]] = {}
    for stem in disjoint(track.stems):
        stems.setdefault(part_of_stem(stem), []).append(stem)
    return Recording(
        source,
        track.name,
        tuple(in_order(stems)),
        partial(_decode, track, {part: stems[part] for part in in_order(stems)}),
        track.subset,
        digest=track.digest,
        sound_file=track.sound_file,
    )


def _decode(track: DatasetTrack, stems: Mapping[str, Sequence[str]], rate: int) -> Decoded:
    loaded = track.load()
    made = {}
    for part, names in stems.items():
        total = np.sum([loaded.references[name] for name in names], axis=0)
        mono = total.mean(0, keepdims=True, dtype=np.float32)
        made[part] = [audio.resample(mono, loaded.rate, rate)[0]]
    return made
