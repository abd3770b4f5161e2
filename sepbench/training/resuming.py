"""Whether a run can go on with the data and settings that it is given now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sepbench.errors import SepbenchError

_FIXED = ("examples", "batch_size", "seed", "start", "best", "average")
"""Fields of the section ``training`` without which steps would not add up with those before."""


def check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `SepbenchError` where a run's record does not allow what is given now.

    Its songs, how examples are mixed, and what makes steps add up must be the same; epochs, rates
    and what is only looked at may change.
    """
    if before.get("data_sha256") != now.get("data_sha256"):
        raise SepbenchError(f"{path}: its songs are others; give the same data or a new --out")
    for name, was, given in _changes(before, now):
        raise SepbenchError(
            f"{path}: was begun with {name} {was}, not {given}; give the same, or a new --out"
        )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    was, given = before.get("training", {}), now.get("training", {})
    for section, fields in (("training", _FIXED), ("examples", None)):
        old, new = was.get(section, {}), given.get(section, {})
        for name in fields or new:
            # A field that the version before did not have says nothing.
            if name in old and name in new and _plain(old[name]) != _plain(new[name]):
                yield name, old[name], new[name]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
