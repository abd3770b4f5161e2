"""Finds separators by entry point; a broken one is listed with its reason."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from sepbench._util import entry_points
from sepbench._util.entry_points import Loaded
from sepbench.errors import SepbenchError
from sepbench.registry.facts import FACTS, invalid_fact, invalid_file_fact
from sepbench.separator import AnySeparator

GROUP = "sepbench.separators"
"""The entry-point group of every separator, bundled or not."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CLASS_FACTS = ("name", "summary")


@dataclass(frozen=True)
class PluginInfo:
    """A registered separator: its class, or the reason it cannot be used.

    ``distribution`` is the package that contains it, as ``name version``. ``broken`` distinguishes
    a faulty plugin from one without an optional requirement. One that lacks only weights has both a
    class and a reason: it can be trained, and used with the new weights.
    """

    name: str
    distribution: str
    separator: type[AnySeparator] | None
    reason: str | None = None
    broken: bool = False


def names() -> list[str]:
    """Return the names of all registered separators, without importing them."""
    return sorted(entry_points.find(GROUP))


def load_all() -> list[PluginInfo]:
    """Return every registered separator, sorted by name."""
    return [_info(loaded) for loaded in entry_points.load_all(GROUP, validate, FACTS)]


def load(name: str) -> PluginInfo:
    """Return the registered separator ``name``, without importing others.

    Raises `SepbenchError` if there is none.
    """
    found = entry_points.find(GROUP)
    if name not in found:
        close = difflib.get_close_matches(name.lower(), found, n=1)
        cure = f"did you mean {close[0]!r}?" if close else "'sepbench methods' lists them"
        raise SepbenchError(f"no method {name!r}; {cure}")
    return _info(entry_points.load(GROUP, name, validate, FACTS))


def _info(loaded: Loaded) -> PluginInfo:
    """Add the missing requirements of a separator."""
    name, owner = loaded.name, loaded.distribution
    if loaded.value is None:
        return PluginInfo(name, owner, None, loaded.reason, broken=True)
    try:
        lack = missing(loaded.value())
    # A plugin may raise anything here too.
    except (Exception, SystemExit) as error:
        return PluginInfo(name, owner, None, entry_points.describe_failure(error), broken=True)
    return PluginInfo(name, owner, None if lack else loaded.value, lack)


def validate(point: EntryPoint, separator: Any) -> str | None:
    """Return why the object of an entry point is not a valid separator, or None if it is one."""
    if not entry_points.inherits(separator, AnySeparator):
        return f"{point.value} is not a subclass of sepbench.Separator, Oracle or Ensemble"
    undeclared = {fact for fact in _CLASS_FACTS if not hasattr(separator, fact)}
    undefined = sorted(undeclared | getattr(separator, "__abstractmethods__", set()))
    if undefined:
        return f"{point.value} does not define {', '.join(undefined)}"
    if separator.name != point.name or not _NAME.fullmatch(point.name):
        return f"entry point {point.name!r} and class name {separator.name!r} must be the same word"
    instance = separator()
    return invalid_fact(instance) or invalid_file_fact(instance)


def missing(separator: AnySeparator) -> str | None:
    """Return which module or program is missing and the cure, or None."""
    return next(filter(None, (need.missing() for need in separator.needs)), None)
