"""The score store: one JSON file per track and method, in museval's layout, written atomically.

A run is a folder::

    run.json                                    data set and settings of the scores
    scores/<method>/<subset>/<track>.json       frame scores in museval's layout, and sepbench's own
    failures/<method>/<subset>/<track>.json     why a method failed on a track

Tables and plots are made from these files alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sepbench._util.files import make_folder, write_atomic
from sepbench._util.locking import locked
from sepbench._util.text import composed, listed
from sepbench._util.walk import RUN_SETTINGS
from sepbench.audio import safe_name
from sepbench.errors import SepbenchError
from sepbench.evaluation.record_file import Stamp, dumps, read, stamp_of
from sepbench.evaluation.records import Record, same_but_metrics, sort_key, with_scores_of

if TYPE_CHECKING:
    from sepbench.datasets import Track


@dataclass(frozen=True)
class Settings:
    """Settings that all scores of a run share."""

    dataset: str
    subset: str
    start: float = 0.0
    duration: float | None = None
    root: str | None = None
    """The folder of the user's own songs; other data sets are the same everywhere."""

    @classmethod
    def of(
        cls,
        dataset: str,
        root: Path | None,
        subset: str,
        start: float = 0.0,
        duration: float | None = None,
    ) -> Settings:
        """Return the settings for a data set at ``root``, or at its usual path."""
        own = str(root.resolve()) if dataset == "folder" and root is not None else None
        return cls(dataset, subset, start, duration, own)

    def fits(self, other: Settings) -> bool:
        """Return whether both may share a folder; older runs have no root.

        The user's own songs have no subsets: all of them are for tests.
        """
        one, two = self, other
        if self.root is None or other.root is None:
            one, two = replace(one, root=None), replace(two, root=None)
        if one.dataset == "folder" and {one.subset, two.subset} == {"all", "test"}:
            one, two = replace(one, subset="all"), replace(two, subset="all")
        return one == two

    def tracks(self, root: Path | None = None) -> Sequence[Track]:
        """Return the tracks of the run's data set at ``root``, by default where the run found it.

        Raises `SepbenchError` if it is not there.
        """
        from sepbench.datasets import open_dataset
        from sepbench.datasets.selection import tracks_of

        known = Path(self.root) if root is None and self.root else root
        return tracks_of(open_dataset(self.dataset, known), self.subset)

    @property
    def shown(self) -> str:
        """The default name, and the folder of the user's own songs, which may have any name."""
        return self.default_name if self.root is None else f"{self.default_name}, {self.root}"

    @property
    def default_name(self) -> str:
        """A folder name that is unique for the settings."""
        parts = [self.dataset] if self.dataset == "excerpt" else [self.dataset, self.subset]
        if self.root is not None:
            parts.insert(1, safe_name(Path(self.root).name))
        if self.start:
            parts.append(f"from{self.start:g}s")
        if self.duration is not None:
            parts.append(f"{self.duration:g}s")
        return "-".join(parts)


class Store:
    """The scores of one run on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open an existing run; raises `SepbenchError` if there is none."""
        if folder.is_file():
            raise SepbenchError(f"{folder}: a file; give the folder of a run")
        if not (folder / RUN_SETTINGS).is_file():
            cure = f"'sepbench evaluate --out {folder}' makes one"
            if (folder / "scores.csv").is_file():
                cure = (
                    "its tables are of other runs: give those; parts of one run (--shard) that are "
                    "copied into one folder are a run"
                )
            if below := sorted(file.parent for file in folder.glob(f"*/{RUN_SETTINGS}")):
                cure = f"there are {listed(map(str, below), most=5)}"
            raise SepbenchError(f"{folder}: no run here; {cure}")
        return cls(folder)

    @classmethod
    def create(cls, folder: Path, settings: Settings) -> Store:
        """Open a new or existing run with these settings.

        Raises `SepbenchError` if the folder has scores of other settings.
        """
        store, file = cls(folder), folder / RUN_SETTINGS
        # Looked for first: a run that another process begins has its settings before its scores.
        has_scores = any((folder / kind).is_dir() for kind in ("scores", "failures"))
        if not file.is_file():
            if has_scores:
                raise SepbenchError(f"{folder} holds scores but no run.json; choose another --out")
            make_folder(folder)
            with locked(folder / ".lock"):
                if not file.is_file():  # Another process may have begun the run just now.
                    write_atomic(file, json.dumps(asdict(settings), indent=1) + "\n")
        if not store.settings.fits(settings):
            raise SepbenchError(
                f"{folder} holds scores of other settings ({store.settings.shown}); "
                "choose another --out"
            )
        return store

    @property
    def settings(self) -> Settings:
        """The settings of this run."""
        path = self.folder / RUN_SETTINGS
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            start, duration = float(plain["start"]), plain["duration"]
            duration = None if duration is None else float(duration)
            if not (math.isfinite(start) and (duration is None or math.isfinite(duration))):
                raise ValueError(plain)
            root = None if plain.get("root") is None else str(plain["root"])
            return Settings(str(plain["dataset"]), str(plain["subset"]), start, duration, root)
        except OSError as error:
            raise SepbenchError(f"{path}: cannot be read: {error.strerror or error}") from None
        except (ValueError, TypeError, KeyError, RecursionError):
            raise SepbenchError(
                f"{path}: damaged, or not sepbench's; give the folder of another run"
            ) from None

    def load(self, label: str, subset: str, track: str) -> Record | None:
        """Return the scores of a method on a track, None if absent or unreadable."""
        return self.read(self._path("scores", label, subset, track))

    def save(self, record: Record, *, museval: str | None = None) -> Stamp:
        """Store a record, replacing an older one of that method and track.

        Scores of the same method, weights and audio by other metrics are kept, as another process
        may have stored them since; a failure does not replace such scores. Stems that were kept of
        scores that it does replace are removed.
        ``museval`` is the text of museval's file that the record was read from, if it was. Returns
        the stamp of the record's file.
        """
        with locked(self.folder / ".lock"):
            return self._save(record, museval)

    def _save(self, record: Record, museval: str | None) -> Stamp:
        scores = self._path("scores", record.label, record.subset, record.track)
        known = self.read(scores) if scores.exists() else None
        if known is not None and same_but_metrics(known.identity, record.identity):
            if record.error is not None:
                return stamp_of(scores.stat())
            record = with_scores_of(record, known)
        kinds = ("scores", "failures") if record.error is None else ("failures", "scores")
        kept, outdated = (
            self._path(kind, record.label, record.subset, record.track) for kind in kinds
        )
        status = write_atomic(kept, dumps(record, museval))
        if record.error is not None and outdated.exists():
            self.remove_stems(record.label, record.subset, record.track)
        outdated.unlink(missing_ok=True)
        return stamp_of(status)

    def file(self, record: Record) -> str:
        """Return where a record is kept, within the folder of the run."""
        kind = "scores" if record.error is None else "failures"
        return _relative_path(kind, record.label, record.subset, record.track)

    def read(self, path: Path) -> Record | None:
        """Return the record in a file of this run, None if it is unreadable or of another place.

        A file that was copied or renamed would count a track twice, or as another.
        """
        record = read(path)
        if record is None:
            return None
        place = path.relative_to(self.folder).as_posix()
        return record if composed(place) == composed(self.file(record)) else None

    def remove(self, record: Record) -> None:
        """Forget the scores and stems of a method on a track, or the reason of its failure."""
        for kind in ("scores", "failures"):
            path = self._path(kind, record.label, record.subset, record.track)
            path.unlink(missing_ok=True)
        self.remove_stems(record.label, record.subset, record.track)

    def failures(self) -> dict[Path, Record]:
        """Return why methods failed on tracks, by file; unreadable files are left out."""
        there = {path: self.read(path) for path in sorted(self._files("failures"))}
        return {path: record for path, record in there.items() if record is not None}

    def remove_stems(self, label: str, subset: str, track: str) -> None:
        """Remove the separated audio of a method on a track, if any was kept."""
        shutil.rmtree(self.stems_folder(label, subset, track), ignore_errors=True)

    def stems_folder(self, label: str, subset: str, track: str) -> Path:
        """Return the folder of the separated audio of a method on a track."""
        return self._path("stems", label, subset, track).with_suffix("")

    def records(self) -> list[Record]:
        """Return all records in an order independent of when they were made."""
        return self.contents()[0]

    def contents(self) -> tuple[list[Record], list[Path]]:
        """Return all records in the order of `records`, and the unreadable files.

        A score stands before a failure of the same cell, which may be left of a copied part.
        """
        paths = set(self._files("scores", "failures"))
        scored = {path.parts[-3:] for path in paths if path.parts[-4] == "scores"}
        paths -= {p for p in paths if p.parts[-4] == "failures" and p.parts[-3:] in scored}
        # Files with decomposed names, of earlier versions, give way to those written since.
        paths = {path for path in paths if not paths & {_composed_name(path)} - {path}}
        there = {path: self.read(path) for path in sorted(paths)}
        found = [record for record in there.values() if record is not None]
        found.sort(key=sort_key)
        return found, [path for path, record in there.items() if record is None]

    def elsewhere(self, tracks: Collection[tuple[str, str]]) -> list[Record]:
        """Return the records of other tracks than these, each a subset and a name.

        No file of these is read.
        """
        known = {(unique_name(subset), _json_name(name)) for subset, name in tracks}
        others = [
            path
            for path in self._files("scores", "failures")
            if (path.parent.name, composed(path.name)) not in known
        ]
        return [record for record in map(self.read, sorted(others)) if record is not None]

    def _files(self, *kinds: str) -> Iterator[Path]:
        """Yield the files of records, in any order."""
        for kind in kinds:
            yield from self.folder.glob(f"{kind}/*/*/[!.]*.json")

    def _path(self, kind: str, label: str, subset: str, track: str) -> Path:
        return self.folder / _relative_path(kind, label, subset, track)


def _relative_path(kind: str, label: str, subset: str, track: str) -> str:
    return f"{kind}/{unique_name(label)}/{unique_name(subset)}/{_json_name(track)}"


@lru_cache(maxsize=4096)
def unique_name(name: str) -> str:
    """Return ``name`` as one path component; different names stay different.

    >>> unique_name("hpss[margin=2]")
    'hpss[margin=2]'
    """
    safe = safe_name(name)
    if safe == name:
        return safe
    return f"{safe}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _json_name(track: str) -> str:
    return f"{unique_name(composed(track))}.json"


def _composed_name(path: Path) -> Path:
    return path.with_name(composed(path.name))
