"""Imports scores of museval into a run, and into the index of its scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sepbench._util.walk import RUN_SETTINGS
from sepbench.evaluation.museval_json import check_museval, import_museval, museval_files
from sepbench.evaluation.records import Record
from sepbench.evaluation.store import Settings, Store
from sepbench.report.index import Index
from sepbench.report.published import campaign

Progress = Callable[[Record, int], None]
"""Called after each file with its record and the number of files in all."""


def import_scores(
    run: Path, systems: Mapping[str, Sequence[Path]], on_record: Progress | None = None
) -> Store:
    """Import the scores that museval wrote for methods, by name, and return the run.

    ``systems`` has JSON files, or folders of them, for each name. ``run`` is made if there is no
    run: one of MUSDB18 if every file is named as a track of its test set, else one of the data set
    ``imported``. Raises `SepbenchError` for what is not museval's; files before it stay imported.
    """
    found = {
        name: [file for path in paths for file in museval_files(path)]
        for name, paths in systems.items()
    }
    files = [file for of_one in found.values() for file in of_one]
    for file in files[:1]:  # Before a run is made for it.
        check_museval(file)
    store = _open_or_make(run, {file.stem for file in files})
    with Index(store) as index:
        for record, stamp in import_museval(found, store):
            index.add(record, stamp)
            if on_record is not None:
                on_record(record, len(files))
        index.update()
    return store


def _open_or_make(run: Path, tracks: set[str]) -> Store:
    if (run / RUN_SETTINGS).is_file() or run.is_file():
        return Store.open(run)
    is_campaign = tracks <= set(campaign()["track"])
    return Store.create(run, Settings("musdb18" if is_campaign else "imported", "test"))
