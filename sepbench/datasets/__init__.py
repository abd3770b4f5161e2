"""Songs with known stems, in any storage layout.

Every data set, bundled or not, is a class found by the entry-point group ``sepbench.datasets``.
Calling the package, ``sepbench.datasets()``, lists them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from sepbench.datasets.base import SUBSETS, Dataset, Track, TrackAudio
from sepbench.datasets.discovery import (
    GROUP,
    DatasetInfo,
    all_datasets,
    describe,
    find_datasets,
    listing,
    open_dataset,
)

__all__ = [
    "GROUP",
    "SUBSETS",
    "Dataset",
    "DatasetInfo",
    "Track",
    "TrackAudio",
    "all_datasets",
    "describe",
    "find_datasets",
    "listing",
    "open_dataset",
]


class _Package(ModuleType):
    def __call__(self) -> list[dict[str, Any]]:
        """Return the metadata of every data set; see `listing`."""
        return listing()


sys.modules[__name__].__class__ = _Package
