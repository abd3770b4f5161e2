"""The excerpt of a real song, with stems, in the package ``stempeg``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from sepbench.datasets.base import Dataset, Track
from sepbench.datasets.files import FileTrack, Source
from sepbench.datasets.musdb_facts import musdb_facts
from sepbench.errors import SepbenchError

_SONG = "The Easton Ellises - Falcon 69"


class Excerpt(Dataset):
    """Six seconds of one song: enough to try every method, too little to rank them."""

    name = "excerpt"
    summary = "6 s of 'The Easton Ellises - Falcon 69' with four stems, from MUSDB18's test set"
    license = "CC BY-NC-SA 3.0"
    how_to_get = "Built in: it is part of the package stempeg (pip install stempeg)."

    def find_root(self) -> Path | None:
        """Return the folder of the package that holds the file."""
        # The package is located, not imported: its import fails without the ffmpeg program.
        spec = find_spec("stempeg")
        if spec is None or not spec.submodule_search_locations:
            return None
        folder = Path(spec.submodule_search_locations[0]) / "data"
        return folder if (folder / f"{_SONG}.stem.mp4").is_file() else None

    @property
    def is_available(self) -> bool:
        """Whether the file is there."""
        return self.find_root() is not None

    def tracks(self, subset: str = "test") -> list[Track]:
        """Return the one track, which is in ``test``."""
        folder = self.find_root()
        if folder is None:
            raise SepbenchError(f"data set {self.name} not found. {self.how_to_get}")
        if subset not in ("test", "all"):
            return []
        file = folder / f"{_SONG}.stem.mp4"
        sources = {name: Source(file, stream) for name, stream in musdb_facts().streams.items()}
        track = FileTrack(
            name=_SONG,
            subset="test",
            dataset=self.name,
            stems=tuple(name for name in sources if name != "mixture"),
            part_of=("excerpt", "excerpt/test", "musdb18", "musdb18/test"),
            sources=sources,
            # The stems do not add up to the mixture in the last frames of the file.
            limit=6.0,
        )
        return [track]
