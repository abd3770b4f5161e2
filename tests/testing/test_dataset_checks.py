from __future__ import annotations

import unittest
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from sepbench.datasets import Dataset, Track, TrackAudio
from sepbench.datasets.excerpt import Excerpt
from sepbench.testing import dataset_checks

RATE = 8000


@dataclass(frozen=True)
class Tone(Track):
    """Two tones, a second and a half long."""

    pitch: float = 200.0

    @property
    def rate(self) -> int:
        return RATE

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        time = np.arange(int(1.5 * RATE)) / RATE
        stop = None if duration is None else round((start + duration) * RATE)
        part = slice(round(start * RATE), stop)
        stems = {
            name: np.sin(2 * np.pi * factor * self.pitch * time, dtype=np.float32)[None, part]
            for name, factor in (("vocals", 1), ("accompaniment", 3))
        }
        return TrackAudio(stems["vocals"] + stems["accompaniment"], stems, RATE)

    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        return f"{self.pitch}-{start}-{duration}"


def tone(name: str, subset: str = "test", **changes: object) -> Tone:
    stems = ("vocals", "accompaniment")
    track = Tone(name, subset, "tones", stems, ("tones", f"tones/{subset}"), 200.0 + len(name))
    return replace(track, **changes)


class Tones(Dataset):
    name = "tones"
    summary = "two tones"
    license = "CC0-1.0"
    how_to_get = "it is made in memory"
    songs = (tone("a"), tone("bb"), tone("ccc", "train"))

    def tracks(self, subset: str = "test") -> list[Track]:
        return [song for song in self.songs if subset in ("all", song.subset)]


class Astray(Tones):
    def tracks(self, subset: str = "test") -> list[Track]:
        return list(self.songs)


class Twice(Tones):
    songs = (tone("a"), tone("a", pitch=300.0))


class Strange(Tones):
    songs = (tone("a", stems=("Lead Vocals",)),)


@dataclass(frozen=True)
class Late(Tone):
    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        return super().load(start=start + (0.1 if start else 0.0), duration=duration)


@dataclass(frozen=True)
class Doubles(Tone):
    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        made = super().load(start=start, duration=duration)
        return replace(made, mixture=made.mixture.astype(np.float64))


@dataclass(frozen=True)
class Constant(Tone):
    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        return "the same"


def of(kind: type[Tone]) -> type[Tones]:
    return type(kind.__name__, (Tones,), {"songs": (kind(*vars(tone("a")).values()),)})


def failed(dataset: type[Dataset]) -> set[str]:
    found = set()
    for check in dataset_checks(dataset):
        try:
            check()
        except AssertionError:
            found.add(check.__name__)
        except unittest.SkipTest:
            pass
    return found


@pytest.mark.parametrize("dataset", [Tones, Excerpt])
def test_a_good_data_set_passes(dataset: type[Dataset]) -> None:
    assert failed(dataset) == set()


@pytest.mark.parametrize(
    ("dataset", "checks"),
    [
        (Astray, {"subsets"}),
        (Twice, {"names"}),
        (Strange, {"stems"}),
        (of(Late), {"spans"}),
        (of(Doubles), {"audio"}),
        (of(Constant), {"digest"}),
    ],
)
def test_a_fault_is_found_by_the_check_of_its_name(
    dataset: type[Dataset], checks: set[str]
) -> None:
    assert failed(dataset) == checks


class Missing(Tones):
    """A data set of a folder without any of its songs."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root

    @property
    def is_available(self) -> bool:
        return False


def test_a_folder_without_the_data_set_is_a_fault_and_no_folder_is_none(tmp_path: Path) -> None:
    assert failed(Missing) == set()
    checks = dataset_checks(Missing, root=tmp_path)
    (subsets,) = [check for check in checks if check.__name__ == "subsets"]
    with pytest.raises(AssertionError, match=f"not found in {tmp_path}"):
        subsets()
