"""What the verbs that train are given as data: folders, and data sets by name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sepbench.errors import SepbenchError
from sepbench.training.cache import Cache, is_cache, open_cache, prepare
from sepbench.training.material import Track, find_tracks, from_references

if TYPE_CHECKING:
    from sepbench.datasets import Track as DatasetTrack


def tracks_of(data: Sequence[str]) -> list[Track]:
    """Return the tracks of folders, and those of data sets but for their test songs."""
    tracks: list[Track] = []
    for where in data:
        if Path(where).is_dir():
            tracks += find_tracks(Path(where))
        else:
            tracks += _dataset_tracks(where)
    return tracks


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
        cache, _ = prepare(tracks_of(data), folder, rate=rate)
    if cache.rate != rate:
        raise SepbenchError(
            f"{data[0]}: prepared at {cache.rate} Hz, but the config wants {rate} Hz; "
            f"run 'sepbench prepare --rate {rate}'"
        )
    return cache


def _dataset_tracks(name: str) -> list[Track]:
    from sepbench.datasets import open_dataset

    dataset = open_dataset(name)
    found = [track for subset in ("train", "valid") for track in dataset.tracks(subset)]
    if not found:
        raise SepbenchError(f"data set {name} has no songs to train on")

    def load(track: DatasetTrack) -> tuple[dict[str, NDArray[np.float32]], int]:
        audio = track.load()
        return audio.references, audio.rate

    return [
        from_references(
            partial(load, track),
            source=name,
            name=track.name,
            stems=track.stems,
            split="val" if track.subset == "valid" else "train",
        )
        for track in found
    ]
