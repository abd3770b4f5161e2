"""Takes methods to other processes, also those whose class cannot be pickled."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

from sepbench import registry
from sepbench._util import entry_points
from sepbench.registry import Method
from sepbench.separator import AnySeparator


@dataclass(frozen=True)
class _ByName:
    """A method whose class cannot be pickled, located by its entry point."""

    name: str
    values: dict[str, Any]
    distribution: str

    def create(self) -> AnySeparator:
        """Return a new separator, as `Method.create` does."""
        point = entry_points.find(registry.GROUP)[self.name][0]
        return registry.variant(point.load(), self.values, self.distribution).create()


def packed(method: Method) -> bytes:
    """Return a picklable form of a method."""
    try:
        return pickle.dumps(method)
    except Exception:  # Pickling a plugin's class may raise anything.
        return pickle.dumps(_ByName(method.name, vars(method.options), method.distribution))


def unpacked(content: bytes) -> AnySeparator:
    """Return a new separator of a method that `packed` made picklable."""
    method: Method | _ByName = pickle.loads(content)  # noqa: S301 - the parent has packed it
    return method.create()
