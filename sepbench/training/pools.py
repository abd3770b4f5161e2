"""Which prepared songs examples are drawn from, and which of their parts."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import numpy as np
from numpy.random import Generator

from sepbench.training.data.prepared import PreparedTrack
from sepbench.training.mix_config import MixConfig

_INSTRUMENTS = ("drums", "bass", "other")


class Pool:
    """Tracks to draw from: a source by its weight, then a track by its length."""

    def __init__(
        self, items: list[tuple[PreparedTrack, tuple[str, ...]]], mixing: MixConfig
    ) -> None:
        self._sources: list[list[tuple[PreparedTrack, tuple[str, ...]]]] = []
        self._lengths = []
        weights = []
        for source in sorted({track.source for track, _ in items}):
            weight = float(mixing.weights.get(source, 1.0))
            mine = [item for item in items if item[0].source == source]
            if weight > 0:
                weights.append(weight)
                self._sources.append(mine)
                self._lengths.append(_cumulative([track.samples for track, _ in mine]))
        self._weights = _cumulative(weights)

    def __bool__(self) -> bool:
        return bool(self._sources)

    def draw(self, rng: Generator) -> tuple[PreparedTrack, tuple[str, ...]]:
        """Return a track and its parts to use."""
        source = int(np.searchsorted(self._weights, rng.random(), side="right"))
        lengths = self._lengths[source]
        return self._sources[source][int(np.searchsorted(lengths, rng.random(), side="right"))]


def backing_parts(track: PreparedTrack) -> tuple[str, ...]:
    """Return the parts whose sum is the track without its voice."""
    if "accompaniment" in track.parts:
        return ("accompaniment",)
    return tuple(part for part in _INSTRUMENTS if part in track.parts)


def is_without_drums(track: PreparedTrack, mixing: MixConfig) -> bool:
    """Return whether the config says that a track's accompaniment has no drums."""
    pattern = mixing.harmonic.get(track.source)
    return pattern is not None and fnmatch(track.name, pattern)


def _cumulative(values: list[Any]) -> Any:
    if not values:
        return np.zeros(0)
    total = np.cumsum(np.asarray(values, np.float64))
    total /= total[-1]
    total[-1] = 1.0
    return total
