"""Examples as in published systems: original songs, or stems at random levels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator

from sepbench.errors import SepbenchError
from sepbench.training import augment
from sepbench.training.augment import Signal
from sepbench.training.data.prepared import PreparedDataset, PreparedTrack
from sepbench.training.examples import Examples
from sepbench.training.mix_config import MixConfig
from sepbench.training.pools import Pool, backing_parts

_HARMONIC = ("bass", "other", "harmonic")
_PERCUSSIVE = ("drums", "percussive")
_REFERENCE = -20.0
"""Level of mixtures of ``scaper`` in dB of full scale."""


class SongExamples(Examples):
    """Passages of songs at their original levels.

    For percussive and harmonic stems, songs without vocals are used too (MiXiN was trained on two
    such sets), and songs with only a whole backing are not.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        mixing: MixConfig,
        *,
        stems: tuple[str, ...],
        seed: int,
        count: int,
    ) -> None:
        self.dataset, self.mixing, self.seed, self.count = dataset, mixing, seed, count
        self.samples = int(mixing.seconds * dataset.rate)
        self.stems = stems
        items = [(track, track.parts) for track in dataset.tracks if self._fits(track)]
        self._tracks = Pool(items, mixing)
        if not self._tracks:
            raise SepbenchError(
                f"training on the songs' own mixtures needs songs with {', '.join(stems)}; "
                "there are none, so prepare some, or set 'mixtures: remix' in the config"
            )

    def _example(self, rng: Generator) -> dict[str, torch.Tensor]:
        made = self._stems(rng)
        if rng.random() < self.mixing.no_voice:
            made["vocals"][:] = 0
        example = self._tensors(made, rng)
        if len(self.stems) > 2:
            example["known"] = torch.ones(len(self.stems), dtype=torch.bool)
        return example

    def _stems(self, rng: Generator) -> dict[str, Signal]:
        track, _ = self._tracks.draw(rng)
        start = int(rng.integers(0, max(1, track.samples - self.samples + 1)))
        return {name: self._sum_of(track, name, start) for name in self.stems}

    def _fits(self, track: PreparedTrack) -> bool:
        if len(self.stems) == 2:
            return "vocals" in track.parts and bool(backing_parts(track))
        return all(parts_of(track, name) for name in ("percussive", "harmonic"))

    def _sum_of(self, track: PreparedTrack, stem: str, start: int) -> Signal:
        total = np.zeros(self.samples, np.float32)
        for part in parts_of(track, stem):
            total += track.read(part, start, start + self.samples)
        return total


class ScaperExamples(SongExamples):
    """Stems of one or several songs, each at a random level (nussl and scaper).

    Every stem is shifted in pitch, stretched and scaled by the config; the mixture is then scaled
    to -20 dB of full scale. In a coherent example all stems are from the same time of one song.
    """

    def _stems(self, rng: Generator) -> dict[str, Signal]:
        track, _ = self._tracks.draw(rng)
        speed, share = self._speed(rng), rng.random()
        coherent = rng.random() < self.mixing.coherent
        made = {}
        for stem in self.stems:
            total = np.zeros(self.samples, np.float32)
            for part in parts_of(track, stem):
                if not coherent:
                    track, speed, share = self._with(part, rng), self._speed(rng), rng.random()
                start = int(share * max(0, track.samples - speed.needs(self.samples)))
                signal = self._read(track, part, start, speed)
                level = 10 ** (rng.uniform(*self.mixing.stem_level) / 20)
                own = augment.rms(signal)
                if own > augment.INAUDIBLE:  # Noise in a pause stays as faint as it is.
                    level /= own + 1e-6
                total += np.float32(level) * signal
            made[stem] = total
        loudness = max(augment.rms(np.sum(list(made.values()), axis=0)), augment.INAUDIBLE)
        gain = np.float32(10 ** (_REFERENCE / 20) / (loudness + 1e-6))
        return {name: stem * gain for name, stem in made.items()}

    def _with(self, part: str, rng: Generator) -> PreparedTrack:
        """Draw a track that has ``part``; at least one has it."""
        while True:
            track, parts = self._tracks.draw(rng)
            if part in parts:
                return track


def parts_of(track: PreparedTrack, stem: str) -> tuple[str, ...]:
    """Return the parts of a track whose sum is ``stem``; empty if it has no such stem."""
    if stem == "accompaniment":
        return backing_parts(track)
    wanted = {"harmonic": _HARMONIC, "percussive": _PERCUSSIVE}.get(stem, (stem,))
    return tuple(part for part in wanted if part in track.parts)
