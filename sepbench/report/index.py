"""An index of a run's JSON files: the rows of its tables in one SQLite file.

``index.sqlite`` in the folder of a run holds the rows of `sepbench.report.scored` for each file,
with the file's stamp. Files that are new or have changed are read, and no other. The JSON
files are the truth: the index may be deleted at any time, and is made anew where it is damaged or
of another version.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import sepbench
from sepbench.evaluation.records import Record, StemResult, sort_key
from sepbench.evaluation.store import Stamp, Store, stamp_of
from sepbench.registry.metrics import protocols_of
from sepbench.report.scored import VALUES, Key, Scored, Windows, scored

NAME = "index.sqlite"

_FORMAT = f"3 {sepbench.__version__}"
"""What the index holds and how it was computed; an index of another format is rebuilt."""

_SUMMARIES = 2000
"""Number of cached summaries; each choice of stems or methods has its own."""

_PATIENCE = 20.0
"""Seconds to wait for another process writing the index."""

_TOGETHER = 500
"""Number of files after which the index is saved."""

_TABLES = """
CREATE TABLE format (text TEXT);
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE files (
    path TEXT PRIMARY KEY, stamp TEXT,
    facts TEXT, identity INTEGER, stems INTEGER, keys INTEGER, numbers BLOB
);
CREATE TABLE windows (path TEXT PRIMARY KEY, keys INTEGER, numbers BLOB);
CREATE TABLE summaries (signature TEXT PRIMARY KEY, rows TEXT);
"""

_FACTS = (
    "dataset subset track label method fingerprint seconds audio_seconds peak_bytes notes error "
    "oracle trained_on_this"
).split()


class Index:
    """The rows of all records of a run, cached between reports.

    It is in memory if the folder is read-only, or another process locks the index.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._folder = store.folder
        self._texts: dict[str, int] = {}
        self._database = self._open(store.folder / NAME)

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def update(self, on_file: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Read new and changed files, and drop deleted ones.

        ``on_file`` is called with the number of read files and the total.
        """
        known = dict(self._database.execute("SELECT path, stamp FROM files"))
        there = dict(_files(self._folder))
        for path in known.keys() - there.keys():
            self._database.execute("DELETE FROM files WHERE path = ?", (path,))
            self._database.execute("DELETE FROM windows WHERE path = ?", (path,))
        changed = [path for path, stamp in there.items() if known.get(path) != stamp]
        for done, path in enumerate(changed, 1):
            self._add(path, there[path], self.store.read(self._folder / _decoded(path)))
            if done % _TOGETHER == 0:
                self._database.commit()
            on_file(done, len(changed))
        self._database.commit()

    def add(self, record: Record, stamp: Stamp) -> None:
        """Add a record whose file has just been written, so that it need not be read.

        `update` keeps it.
        """
        self._add(_encoded(self.store.file(record)), stamp, record)

    def contents(self) -> tuple[list[Scored], list[Path]]:
        """Return the rows of all records, ordered as by `Store.records`, and damaged files."""
        texts = dict(self._database.execute("SELECT id, text FROM texts").fetchall())
        identities = _Parsed(texts, lambda plain: plain)
        stems = _Parsed(texts, _stem_results)
        keys = _Parsed(texts, lambda plain: tuple(Key(*key) for key in plain))
        found, damaged = [], []
        rows = self._database.execute(
            "SELECT path, stamp, facts, identity, stems, keys, numbers FROM files"
        )
        for path, stamp, facts, identity, results, of_rows, numbers in rows:
            if facts is None:
                damaged.append(self._folder / _decoded(path))
                continue
            plain = dict(zip(_FACTS, json.loads(facts), strict=True))
            plain["notes"] = tuple(plain["notes"])
            record = Record(
                **plain, options={}, identity=identities[identity], stems=stems[results]
            )
            values = np.frombuffer(numbers, dtype="<f8").reshape(-1, len(VALUES))
            windows = partial(self._windows, path)
            found.append(Scored(record, keys[of_rows], values, windows, f"{path} {stamp}"))
        found.sort(key=lambda one: sort_key(one.record))
        return found, sorted(damaged)

    def known(self, signature: str) -> list[dict[str, Any]] | None:
        """Return the rows of a cached summary, or None."""
        query = "SELECT rows FROM summaries WHERE signature = ?"
        row = self._database.execute(query, (signature,)).fetchone()
        return None if row is None else list(json.loads(row[0]))

    def keep(self, signature: str, rows: list[dict[str, Any]]) -> None:
        """Cache the rows of a summary under their signature."""
        self._database.execute(
            "INSERT OR REPLACE INTO summaries VALUES (?, ?)", (signature, json.dumps(rows))
        )
        self._database.execute(
            "DELETE FROM summaries WHERE rowid <= (SELECT max(rowid) FROM summaries) - ?",
            (_SUMMARIES,),
        )
        self._database.commit()

    def _open(self, path: Path) -> sqlite3.Connection:
        for _ in range(2):
            try:
                with ExitStack() as unless_usable:
                    database = sqlite3.connect(path, timeout=_PATIENCE)
                    unless_usable.callback(database.close)
                    if self._is_usable(database):
                        unless_usable.pop_all()
                        return database
            except sqlite3.OperationalError:  # It is read-only, or locked.
                break
            except sqlite3.DatabaseError:
                pass
            with suppress(OSError):  # Damaged, or of another version.
                path.unlink(missing_ok=True)
        database = sqlite3.connect(":memory:")
        self._is_usable(database)
        return database

    def _is_usable(self, database: sqlite3.Connection) -> bool:
        """Make the tables of a new database; return whether an existing one can be used."""
        database.execute("PRAGMA synchronous = OFF")  # It can be rebuilt.
        if not database.execute("SELECT name FROM sqlite_master").fetchall():
            database.executescript(_TABLES)
            database.execute("INSERT INTO format VALUES (?)", (_FORMAT,))
            database.commit()
            return True
        if database.execute("SELECT text FROM format").fetchone() != (_FORMAT,):
            return False
        texts = database.execute(
            "SELECT text FROM texts WHERE id IN (SELECT DISTINCT keys FROM files)"
        ).fetchall()
        database.execute("UPDATE format SET text = text")  # Fails if read-only.
        database.rollback()
        return all(_is_current(json.loads(text)) for (text,) in texts)

    def _add(self, path: str, stamp: Stamp, record: Record | None) -> None:
        if record is None:
            row: tuple[Any, ...] = (path, stamp, None, None, None, None, None)
        else:
            one = scored(record)
            facts = json.dumps([getattr(record, fact) for fact in _FACTS])
            stems = {name: [r.targets, r.notes] for name, r in record.stems.items()}
            ids = map(self._id, (record.fixed_identity, stems, one.keys))
            row = (path, stamp, facts, *ids, one.values.astype("<f8").tobytes())
            self._add_windows(path, one.windows())
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?)", row)

    def _add_windows(self, path: str, windows: Windows) -> None:
        keys = [[*key, found.shape[1]] for key, found in windows.items()]
        numbers = b"".join(found.astype("<f8").tobytes() for found in windows.values())
        self._database.execute(
            "INSERT OR REPLACE INTO windows VALUES (?,?,?)", (path, self._id(keys), numbers)
        )

    def _windows(self, path: str) -> Windows:
        keys, numbers = self._database.execute(
            "SELECT text, numbers FROM windows JOIN texts ON keys = id WHERE path = ?", (path,)
        ).fetchone()
        values, found, start = np.frombuffer(numbers, dtype="<f8"), {}, 0
        for stem, score, count in json.loads(keys):
            found[stem, score] = values[start : start + 2 * count].reshape(2, count)
            start += 2 * count
        return found

    def _id(self, value: Any) -> int:
        """Return the id of a text shared by many records."""
        text = json.dumps(value)
        if text not in self._texts:
            self._database.execute("INSERT OR IGNORE INTO texts (text) VALUES (?)", (text,))
            found = self._database.execute("SELECT id FROM texts WHERE text = ?", (text,))
            self._texts[text] = int(found.fetchone()[0])
        return self._texts[text]


class _Parsed(dict[int, Any]):
    """Parsed texts by id, each parsed once."""

    def __init__(self, texts: dict[int, str], make: Callable[[Any], Any]) -> None:
        self._all, self._make = texts, make

    def __missing__(self, key: int) -> Any:
        self[key] = self._make(json.loads(self._all[key]))
        return self[key]


def _stem_results(plain: dict[str, Any]) -> dict[str, StemResult]:
    return {
        name: StemResult(tuple(targets), {}, {}, notes=tuple(notes))
        for name, (targets, notes) in plain.items()
    }


def _is_current(keys: Iterable[Iterable[str]]) -> bool:
    """Return whether the scores of a file still have the same protocols."""
    known = [Key(*key) for key in keys]
    rules = protocols_of(key.score for key in known)
    return all(key.protocol in rules for key in known) and {
        (key.score, key.protocol) for key in known
    } == {
        (score, rule.id)
        for rule in rules.values()
        for score in rule.metrics
        if any(key.score == score for key in known)
    }


def _files(folder: Path) -> Iterator[tuple[str, Stamp]]:
    """Yield the files of a store by relative path; no failure of which there is a score."""
    found = set()
    for kind in ("scores", "failures"):
        for method in _folders(folder / kind):
            for subset in _folders(method):
                within = f"{kind}/{method.name}/{subset.name}/"
                with os.scandir(subset) as entries:
                    for entry in entries:
                        cell = method.name, subset.name, entry.name
                        is_file = entry.name.endswith(".json") and not entry.name.startswith(".")
                        if is_file and cell not in found:
                            found.add(cell)
                            yield _encoded(within + entry.name), stamp_of(entry.stat())


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _encoded(path: str) -> str:
    """Return a path as JSON, as SQLite cannot store one that is not UTF-8."""
    return json.encoder.encode_basestring_ascii(path)


def _decoded(path: str) -> str:
    return str(json.loads(path))
