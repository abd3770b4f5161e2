"""Checks whether a run can be resumed with the given data and settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sepbench._util.plain import finite
from sepbench.errors import SepbenchError

_FIXED = ("examples", "batch_size", "seed", "start", "best", "average")
"""Fields of the section ``training`` that must not change when a run is resumed."""


def check_same(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `SepbenchError` if a run cannot be resumed with these settings.

    Songs, mixing and `_FIXED` of the training must be equal; epochs, learning rates and
    logging may change.
    """
    if before.get("data_sha256") != now.get("data_sha256"):
        raise SepbenchError(f"{path}: its songs differ; give the same data or a new --out")
    for name, was, given in _changes(before, now):
        raise SepbenchError(
            f"{path}: was begun with {name} {was}, not {given}; give the same, or a new --out"
        )


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    was, given = before.get("training", {}), now.get("training", {})
    for section, fields in (("training", _FIXED), ("examples", None)):
        old, new = was.get(section, {}), given.get(section, {})
        for name in fields or new:
            # Ignore fields that an older version did not have.
            # A checkpoint keeps tuples, which a config file has as lists.
            if name in old and name in new and finite(old[name]) != finite(new[name]):
                yield name, old[name], new[name]
