"""Songs with known stems, whatever the layout they are stored in."""

from __future__ import annotations

import difflib
from pathlib import Path

from sepbench.datasets.base import SUBSETS, Dataset, Track, TrackAudio
from sepbench.datasets.dsd100 import Dsd100
from sepbench.datasets.excerpt import Excerpt
from sepbench.datasets.folder import Folder
from sepbench.datasets.musdb18 import Musdb18, Musdb18Hq, Musdb18Sample
from sepbench.datasets.simulated import Simulated
from sepbench.errors import SepbenchError

__all__ = ["SUBSETS", "Dataset", "Track", "TrackAudio", "all_datasets", "open_dataset"]

_DATASETS: tuple[type[Dataset], ...] = (
    Excerpt,
    Simulated,
    Musdb18Sample,
    Musdb18,
    Musdb18Hq,
    Dsd100,
    Folder,
)


def all_datasets() -> tuple[type[Dataset], ...]:
    """Return every kind of data set, those that need nothing first."""
    return _DATASETS


def open_dataset(name: str, root: Path | None = None) -> Dataset:
    """Return the data set ``name``, to be looked for at ``root`` or at its usual places."""
    known = {kind.name: kind for kind in _DATASETS}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise SepbenchError(f"no data set {name!r}; {hint}")
    return known[name](root)
