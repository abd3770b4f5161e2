"""Passages of songs for validation and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from sepbench.errors import SepbenchError
from sepbench.stems import SUMS
from sepbench.training import augment
from sepbench.training.data.prepared import PreparedDataset, PreparedTrack

_SHORTEST = 0.1
"""Seconds of the shortest passage."""


@dataclass(frozen=True)
class Passage:
    """Stems, each ``(samples,)``, that sum to a mixture, and the song that they are of."""

    source: str
    song: str
    stems: Mapping[str, torch.Tensor]


def passages(
    dataset: PreparedDataset,
    *,
    seconds: float = 6.0,
    each: int = 24,
    seed: int = 0,
    stems: tuple[str, ...] = ("vocals", "accompaniment"),
    split: str = "valid",
    songs: int | None = None,
) -> list[Passage]:
    """Cut passages out of the songs of a split, at most ``each`` from a source.

    They are drawn from whole songs. Passages without singing count too: there a network must not
    take an instrument for a voice.

    Songs with single instruments are mixed with the voice at -3 dB over the rest, and their parts
    summed to ``stems``; songs with one accompaniment are used unchanged. Where bass and other are
    wanted and a song has no bass, its ``other`` is named ``harmonic``. ``songs`` limits the number
    of songs of a source.
    """
    samples = int(seconds * dataset.rate)
    found: dict[str, list[Passage]] = {}
    read: Counter[str] = Counter()
    for track in dataset.split(split).holding("vocals"):
        read[track.source] += len(track.parts) > 1
        if len(track.parts) == 1 or (songs is not None and read[track.source] > songs):
            continue
        found.setdefault(track.source, []).extend(_cut(track, samples, stems, dataset.rate))
    chosen = []
    for source in sorted(found):
        order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(found[source]))
        chosen += [found[source][i] for i in sorted(order[:each])]
    if not chosen:
        raise SepbenchError(
            f"no songs of split {split!r} with vocals and accompaniment; training needs "
            "at least two songs, one of them for validation"
        )
    return chosen


def _cut(
    track: PreparedTrack, samples: int, stems: tuple[str, ...], rate: int
) -> Iterator[Passage]:
    whole = {
        stem: np.sum([track.read(part, 0, track.samples) for part in parts], axis=0)
        for stem, parts in _sums(track, stems).items()
    }
    voice = whole["vocals"]
    loud = augment.active_rms(voice)
    if "accompaniment" not in track.parts and loud > 0:
        rest = np.sum([stem for name, stem in whole.items() if name != "vocals"], axis=0)
        voice *= np.float32(0.7 * augment.active_rms(rest) / loud)
    samples = min(samples, track.samples)
    if samples < _SHORTEST * rate:
        return
    for start in range(0, track.samples - samples + 1, samples):
        passage = {
            name: torch.from_numpy(stem[start : start + samples].copy())
            for name, stem in whole.items()
        }
        yield Passage(track.source, track.name, passage)


def _sums(track: PreparedTrack, stems: tuple[str, ...]) -> dict[str, list[str]]:
    """Return which parts of a track make each stem."""
    if "accompaniment" in track.parts:
        return {"vocals": ["vocals"], "accompaniment": ["accompaniment"]}
    own = {
        stem: [part for part in (stem, *SUMS.get(stem, ())) if part in track.parts]
        for stem in stems
    }
    if {"bass", "other"} <= own.keys() and not own["bass"]:
        # Without a file for the bass, the other instruments may include one.
        own["harmonic"] = own.pop("other")
    return {stem: parts for stem, parts in own.items() if parts}
