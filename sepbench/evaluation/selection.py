"""The tracks of a data set that a run is of, and the folder of that run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sepbench.datasets import open_dataset
from sepbench.datasets.base import Dataset, Track
from sepbench.datasets.discovery import named_or_folder
from sepbench.datasets.selection import select
from sepbench.evaluation.renamed import forget_renamed
from sepbench.evaluation.store import Settings, Store


@dataclass(frozen=True)
class Selection:
    """Tracks of a data set, or a part of each; ``start`` and ``duration`` are in seconds."""

    dataset: str
    root: Path | None
    subset: str
    start: float
    duration: float | None
    data: Dataset
    tracks: list[Track]

    @classmethod
    def of(
        cls,
        dataset: str,
        root: Path | None,
        subset: str,
        patterns: Sequence[str] = (),
        start: float = 0.0,
        duration: float | None = None,
    ) -> Selection:
        """Select tracks of a data set, or of a folder of songs given in its place.

        Raises `SepbenchError` for an unknown data set or subset, and if no track matches.
        """
        name, place = named_or_folder(dataset, root)
        data = open_dataset(name, place)
        return cls(name, place, subset, start, duration, data, select(data, subset, patterns))

    def open_run(self, out: Path | None, on_note: Callable[[str], None]) -> Store:
        """Open the run in ``out``, or in the default folder; a new one if there is none.

        Scores of tracks that were renamed since are removed; ``on_note`` is called with a line for
        each.
        """
        settings = Settings.of(self.dataset, self.root, self.subset, self.start, self.duration)
        store = Store.create(out or Path("results") / settings.default_name, settings)
        for note in forget_renamed(store, self.data.tracks(self.subset)):
            on_note(note)
        return store
