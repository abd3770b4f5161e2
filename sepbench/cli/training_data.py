"""What the verbs that train are given as data: folders, and data sets by name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sepbench.cli.console import warn
from sepbench.errors import SepbenchError
from sepbench.training.cache import Cache, is_cache, open_cache, prepare
from sepbench.training.material import Track, find_tracks, from_references, share_out

if TYPE_CHECKING:
    from sepbench.datasets import Dataset
    from sepbench.datasets import Track as DatasetTrack

_LAYOUTS = ("musdb18-hq", "dsd100")
"""Data sets that a folder is known to be, and so which of their songs are for what."""


def tracks_of(data: Sequence[str]) -> list[Track]:
    """Return the tracks of folders and data sets, some of which are kept from training."""
    from sepbench.datasets import open_dataset

    tracks: list[Track] = []
    for where in data:
        if not Path(where).is_dir():
            tracks += _dataset_tracks(open_dataset(where))
            continue
        known = [open_dataset(name, Path(where)) for name in _LAYOUTS]
        found = next((dataset for dataset in known if dataset.find_root()), None)
        tracks += _dataset_tracks(found) if found else find_tracks(Path(where))
    return share_out(tracks)


def cache_of(data: Sequence[str], folder: Path, rate: int) -> Cache:
    """Return one prepared folder as it is, or what is made of other data in ``folder``.

    Raises `SepbenchError` where prepared data has another rate.
    """
    prepared = [where for where in data if is_cache(Path(where))]
    if prepared and len(data) > 1:
        raise SepbenchError(
            f"{prepared[0]}: prepared already, so it stands alone; "
            "give all data to one 'sepbench prepare', or none of it prepared"
        )
    if prepared:
        cache = open_cache(Path(data[0]), verify=True)
    else:
        cache, skipped = prepare(tracks_of(data), folder, rate=rate)
        for line in skipped:
            warn(f"skipped {line}")
    if cache.rate != rate:
        raise SepbenchError(
            f"{data[0]}: prepared at {cache.rate} Hz, but the config wants {rate} Hz; "
            f"run 'sepbench prepare --rate {rate}'"
        )
    return cache


def _dataset_tracks(dataset: Dataset) -> list[Track]:
    if not dataset.tracks("train"):
        raise SepbenchError(f"data set {dataset.name} has no songs to train on")

    def load(track: DatasetTrack) -> tuple[dict[str, NDArray[np.float32]], int]:
        audio = track.load()
        return audio.references, audio.rate

    return [
        from_references(
            partial(load, track),
            source=dataset.name,
            name=track.name,
            stems=track.stems,
            split="val" if track.subset == "valid" else track.subset,
        )
        for track in dataset.tracks("all")
    ]
