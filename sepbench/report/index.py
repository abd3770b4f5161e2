"""An index of a run's JSON files: the rows of its tables in one SQLite file.

``index.sqlite`` in the folder of a run holds the rows of `sepbench.report.scored` for each file,
with the file's stamp. Files that are new or have changed are read, and no other. The JSON
files are the truth: the index may be deleted at any time, and is made anew where it is damaged or
of another version.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import sepbench
from sepbench.evaluation.record_file import Stamp
from sepbench.evaluation.records import Record, StemResult, sort_key
from sepbench.evaluation.store import Store
from sepbench.registry.metrics import protocols_of
from sepbench.report.index_files import decoded, digest_of, encoded, files
from sepbench.report.scored import VALUES, Key, Scored, Windows, scored

NAME = "index.sqlite"

_FORMAT = f"4 {sepbench.__version__}"
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
    facts TEXT, identity INTEGER, stems INTEGER, keys INTEGER, numbers BLOB, digest INTEGER
);
CREATE TABLE windows (path TEXT PRIMARY KEY, keys INTEGER, numbers BLOB, digest INTEGER);
CREATE TABLE summaries (signature TEXT PRIMARY KEY, rows TEXT, digest INTEGER);
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
        try:
            self._update(on_file)
        except sqlite3.DatabaseError as error:
            self._give_up(error)
            self._update(on_file)

    def _give_up(self, error: sqlite3.DatabaseError) -> None:
        """Start again: the index is damaged, locked by another process, or the disk is full."""
        in_memory = isinstance(error, sqlite3.OperationalError)
        self._start_again(in_memory=in_memory, is_kept="locked" in str(error))

    def _start_again(self, *, in_memory: bool = False, is_kept: bool = False) -> None:
        self._database.close()
        self._texts.clear()
        if not is_kept:
            with suppress(OSError):
                (self._folder / NAME).unlink(missing_ok=True)
        self._database = self._open(None if in_memory else self._folder / NAME)

    def _update(self, on_file: Callable[[int, int], None]) -> None:
        known = dict(self._database.execute("SELECT path, stamp FROM files"))
        there = dict(files(self._folder))
        for path in known.keys() - there.keys():
            self._database.execute("DELETE FROM files WHERE path = ?", (path,))
            self._database.execute("DELETE FROM windows WHERE path = ?", (path,))
        changed = [path for path, stamp in there.items() if known.get(path) != stamp]
        for done, path in enumerate(changed, 1):
            self._add(path, there[path], self.store.read(self._folder / decoded(path)))
            if done % _TOGETHER == 0:
                self._database.commit()
            on_file(done, len(changed))
        self._database.commit()

    def add(self, record: Record, stamp: Stamp) -> None:
        """Add a record whose file has just been written, so that it need not be read.

        `update` keeps it.
        """
        row = encoded(self.store.file(record)), stamp, record
        try:
            self._add(*row)
        except sqlite3.DatabaseError as error:
            self._give_up(error)
            self._add(*row)

    def contents(self) -> tuple[list[Scored], list[Path]]:
        """Return the rows of all records, ordered as by `Store.records`, and damaged files."""
        try:
            return self._contents()
        except (sqlite3.DatabaseError, ValueError, TypeError, LookupError):  # It is damaged.
            self._start_again()
            self.update()
            return self._contents()

    def _contents(self) -> tuple[list[Scored], list[Path]]:
        texts = dict(self._database.execute("SELECT id, text FROM texts").fetchall())
        identities = _Parsed(texts, lambda plain: plain)
        stems = _Parsed(texts, _stem_results)
        keys = _Parsed(texts, lambda plain: tuple(Key(*key) for key in plain))
        found, damaged = [], []
        rows = self._database.execute(
            "SELECT path, stamp, facts, identity, stems, keys, numbers, digest FROM files"
        )
        for path, stamp, facts, identity, results, of_rows, numbers, digest in rows:
            if facts is None:
                damaged.append(self._folder / decoded(path))
                continue
            if digest != digest_of(
                facts, *(texts[i] for i in (identity, results, of_rows)), numbers
            ):
                raise sqlite3.DatabaseError(path)
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
        query = "SELECT rows, digest FROM summaries WHERE signature = ?"
        row = None
        with suppress(sqlite3.DatabaseError):
            row = self._database.execute(query, (signature,)).fetchone()
        return None if row is None or digest_of(row[0]) != row[1] else list(json.loads(row[0]))

    def keep(self, signature: str, rows: list[dict[str, Any]]) -> None:
        """Cache the rows of a summary under their signature."""
        text = json.dumps(rows)
        with suppress(sqlite3.DatabaseError):  # Such as a full disk.
            self._database.execute(
                "INSERT OR REPLACE INTO summaries VALUES (?, ?, ?)",
                (signature, text, digest_of(text)),
            )
            self._database.execute(
                "DELETE FROM summaries WHERE rowid <= (SELECT max(rowid) FROM summaries) - ?",
                (_SUMMARIES,),
            )
            self._database.commit()

    def _open(self, path: Path | None) -> sqlite3.Connection:
        """Open the index, or one in memory if it cannot be used or there is no path."""
        for file in [] if path is None else [path, path]:
            try:
                with ExitStack() as unless_usable:
                    database = sqlite3.connect(file, timeout=_PATIENCE)
                    unless_usable.callback(database.close)
                    if self._is_usable(database):
                        unless_usable.pop_all()
                        return database
            except sqlite3.OperationalError:  # It is read-only, or locked.
                break
            except sqlite3.DatabaseError:
                pass
            with suppress(OSError):  # Damaged, or of another version.
                file.unlink(missing_ok=True)
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
            row: tuple[Any, ...] = (path, stamp, *[None] * 6)
        else:
            one = scored(record)
            facts = json.dumps([getattr(record, fact) for fact in _FACTS])
            stems = {name: [r.targets, r.notes] for name, r in record.stems.items()}
            shared = (record.fixed_identity, stems, one.keys)
            numbers = one.values.astype("<f8").tobytes()
            digest = digest_of(facts, *map(json.dumps, shared), numbers)
            row = (path, stamp, facts, *map(self._id, shared), numbers, digest)
            self._add_windows(path, one.windows())
        self._database.execute("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?)", row)

    def _add_windows(self, path: str, windows: Windows) -> None:
        keys = [[*key, found.shape[1]] for key, found in windows.items()]
        numbers = b"".join(found.astype("<f8").tobytes() for found in windows.values())
        self._database.execute(
            "INSERT OR REPLACE INTO windows VALUES (?,?,?,?)",
            (path, self._id(keys), numbers, digest_of(json.dumps(keys), numbers)),
        )

    def _windows(self, path: str) -> Windows:
        query = "SELECT text, numbers, digest FROM windows JOIN texts ON keys = id WHERE path = ?"
        row = None
        with suppress(sqlite3.DatabaseError):
            row = self._database.execute(query, (path,)).fetchone()
        if row is None or row[2] != digest_of(*row[:2]):  # Damaged.
            record = self.store.read(self._folder / decoded(path))
            return {} if record is None else scored(record).windows()
        keys, numbers, _ = row
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
