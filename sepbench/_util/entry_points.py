"""Loads the entry points of a group; a broken plugin does not affect the others."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.metadata import EntryPoint
from typing import Any

from sepbench._util import process_state
from sepbench._util.import_check import failures
from sepbench.errors import describe

Fault = Callable[[EntryPoint, Any], "str | None"]
"""Returns why an object is not valid for the group, or None."""


@dataclass(frozen=True)
class Loaded:
    """The object of an entry point, or the reason it cannot be used.

    ``distribution`` is the package that contains it, as ``name version``.
    """

    name: str
    distribution: str
    value: Any
    reason: str | None = None


@cache
def find(group: str) -> dict[str, list[EntryPoint]]:
    """Return the entry points of a group by name; a name should have only one."""
    found: dict[str, list[EntryPoint]] = {}
    for point in metadata.entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    return found


def inherits(value: Any, base: type) -> bool:
    """Return whether the object of an entry point is a class derived from ``base``."""
    return isinstance(value, type) and issubclass(value, base)


def load_all(group: str, fault: Fault, facts: Sequence[str] = ()) -> list[Loaded]:
    """Load everything that is registered under a group, sorted by name.

    ``facts`` are attributes that will be read, see `failures`.
    """
    found = find(group)
    failed = import_failures((point for points in found.values() for point in points), facts)
    return [_load(points, failed, fault) for _, points in sorted(found.items())]


def load(group: str, name: str, fault: Fault, facts: Sequence[str] = ()) -> Loaded:
    """Load only the entry point ``name``, which must be in `find`; see `load_all`."""
    points = find(group)[name]
    return _load(points, import_failures(points, facts), fault)


def import_failures(points: Iterable[EntryPoint], facts: Sequence[str] = ()) -> dict[str, str]:
    """Return the ``module:object`` whose import or creation hangs or kills the process, and how.

    Bundled modules are not tried: that would double the run time of ``sepbench methods``.
    """
    foreign = (point for point in points if point.dist is None or point.dist.name != "sepbench")
    return failures((point.value for point in foreign), facts)


def _load(points: list[EntryPoint], failed: Mapping[str, str], fault: Fault) -> Loaded:
    point, name = points[0], points[0].name
    if len({point.value for point in points}) > 1:
        owners = " and ".join(sorted(map(owner, points)))
        return Loaded(name, owners, None, f"two plugins have this name: {owners}")
    if point.value in failed:
        ended = f"its import {failed[point.value]}; 'sepbench plugin check {name}' shows where"
        return Loaded(name, owner(point), None, ended)
    try:
        with process_state.kept():
            value = point.load()
            reason = fault(point, value)
    # A plugin may raise anything, SystemExit too; only its own row may be lost.
    except (Exception, SystemExit) as error:
        return Loaded(name, owner(point), None, describe_failure(error))
    return Loaded(name, owner(point), None if reason else value, reason)


def describe_failure(error: BaseException) -> str:
    """Describe in one line the error of importing or creating a plugin, and its place."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"import failed: {describe(error)} ({where.filename}:{where.lineno})"


def owner(point: EntryPoint) -> str:
    """Return the distribution of an entry point, as ``name version``."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
