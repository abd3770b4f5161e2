"""Base classes of data sets and tracks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sepbench._util.download import Progress, no_progress
from sepbench._util.text import composed
from sepbench.errors import SepbenchError
from sepbench.stems import disjoint, with_sums

SUBSETS = ("train", "valid", "test")
"""The subsets of a data set, without common tracks, by their distance from training.

``all`` means all three.
"""

FRAME = 1024
"""Largest difference in length of stems, one frame of AAC or MP3; shorter ones are padded."""


@dataclass(frozen=True)
class TrackAudio:
    """The samples of a track, or of a part of it.

    Shape:
        mixture and every reference: float32 ``(channels, samples)``.

    ``references`` holds the stems and all sums that can be made of them; ``notes`` list repairs.
    """

    mixture: NDArray[np.float32]
    references: dict[str, NDArray[np.float32]]
    rate: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Track(ABC):
    """A song with known stems. ``stems`` are its own, without sums.

    The name is kept in Unicode NFC, so that a song has one name on all systems.
    ``part_of`` names the collections of this song as ``dataset`` and ``dataset/subset``, to detect
    methods that were trained on it.
    """

    name: str
    subset: str
    dataset: str
    stems: tuple[str, ...]
    part_of: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", composed(self.name))

    @property
    def song(self) -> tuple[str, str]:
        """Subset and name, which identify the track in a run."""
        return self.subset, self.name

    @property
    @abstractmethod
    def rate(self) -> int:
        """Samples a second."""

    @property
    def seconds(self) -> float | None:
        """Length by the headers of the files; None if unknown."""
        return None

    @property
    def sound_file(self) -> tuple[Path, int] | None:
        """The file, and its stream, by whose sound the song is known again; None if it has none."""
        return None

    @abstractmethod
    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        """Return the audio from ``start`` for ``duration`` seconds, or to the end.

        Raises `SepbenchError` with the track or file for missing, broken and unequal stems.
        """

    @abstractmethod
    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        """Return a hash of everything that `load` depends on, without decoding anything."""


class Dataset(ABC):
    """Tracks with known stems, and their metadata."""

    name: ClassVar[str]
    summary: ClassVar[str]
    license: ClassVar[str]
    how_to_get: ClassVar[str]

    is_built_in: ClassVar[bool] = True
    """Whether it works without the user's files."""

    def __init__(self, root: Path | None = None) -> None:
        if root is not None:
            raise SepbenchError(f"data set {self.name} is built in; leave --root out")

    def places(self) -> list[Path]:
        """Return the paths searched for the data set, in order; none if it is made in memory."""
        return []

    def find_root(self) -> Path | None:
        """Return the path of the data set; None if it was not found or needs none."""
        return None

    @property
    def is_available(self) -> bool:
        """Whether the tracks are available."""
        return True

    @abstractmethod
    def tracks(self, subset: str = "test") -> list[Track]:
        """Return the tracks of a subset in natural order; empty if there are none.

        ``subset`` is one of `SUBSETS` or ``all``. Raises `SepbenchError` if the data set is not
        found, with the paths searched and how to get it.
        """

    def download(self, *, on_progress: Progress = no_progress) -> Path:
        """Fetch the data set, unless it is here, and return its folder.

        ``on_progress`` is called with the bytes fetched and the total, or None. Raises
        `SepbenchError`, which says how to get the data set, if it cannot be fetched.
        """
        raise SepbenchError(f"data set {self.name} cannot be fetched from here. {self.how_to_get}")


_COMPLETE = ({"vocals", "drums", "bass", "other"}, {"vocals", "accompaniment"})
"""Stems that make up a song."""

_OTHER = 0.1
"""Share of a mixture's power that may be missing from its stems, as in a mastered mixture."""


def assemble(
    track: str,
    mixture: NDArray[np.float32] | None,
    stems: Mapping[str, NDArray[np.float32]],
    rate: int,
    notes: tuple[str, ...] = (),
) -> TrackAudio:
    """Check that the stems of a track match, pad short ones, and add the sums.

    A missing mixture is the sum of the stems. Lengths that differ by at most one `FRAME` are padded
    with silence. Raises `SepbenchError` with track, stems and lengths for larger differences.
    """
    parts = dict(stems) if mixture is None else {"mixture": mixture, **stems}
    channels = {name: part.shape[0] for name, part in parts.items()}
    lengths = {name: part.shape[1] for name, part in parts.items()}
    if len(set(channels.values())) > 1:
        raise SepbenchError(f"track {track}: channels differ: {_listed(channels)}; make them alike")
    longest = max(lengths.values())
    if longest - min(lengths.values()) > FRAME:
        raise SepbenchError(
            f"track {track}: lengths differ: {_listed(lengths)} samples; make them alike"
        )
    for name, length in lengths.items():
        if length < longest:
            parts[name] = np.pad(parts[name], ((0, 0), (0, longest - length)))
            notes = (*notes, f"{name}: {longest - length} samples of silence added at the end")
    if mixture is None:
        addends = disjoint(tuple(parts))
        parts["mixture"] = np.sum([parts[name] for name in addends], axis=0, dtype=np.float32)
        if len(addends) == 1:
            notes = (*notes, f"no mixture, and {addends[0]} alone: it is taken for the whole song")
    whole = parts.pop("mixture")
    if mixture is not None and any(set(parts) >= complete for complete in _COMPLETE):
        notes = (*notes, *_not_the_sum(whole, [parts[name] for name in disjoint(tuple(parts))]))
    return TrackAudio(whole, with_sums(parts), rate, notes)


def _not_the_sum(
    mixture: NDArray[np.float32], stems: Sequence[NDArray[np.float32]]
) -> Iterator[str]:
    rest = mixture - np.sum(stems, axis=0, dtype=np.float32)
    power, wrong = float(np.vdot(mixture, mixture)), float(np.vdot(rest, rest))
    if wrong > _OTHER * power:
        yield "the mixture is not the sum of the stems"


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in numbers.items())
