"""Training examples of three stems: voice, percussive and harmonic."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator

from sepbench.errors import SepbenchError
from sepbench.training.augment import Signal
from sepbench.training.band_examples import STEMS as BAND_STEMS
from sepbench.training.band_examples import BandExamples
from sepbench.training.data.prepared import PreparedDataset, PreparedTrack
from sepbench.training.examples import Examples, draw_gain, draw_level, ratio_of
from sepbench.training.mix_config import MixConfig
from sepbench.training.pools import Pool, backing_parts, is_without_drums
from sepbench.training.song_examples import ScaperExamples, SongExamples

STEMS = ("vocals", "percussive", "harmonic")
_HARMONIC = ("bass", "other")


class StemExamples(Examples):
    """Mixtures of voice, percussive (drums) and harmonic (bass and other instruments).

    ``examples[i]`` has the three stems, each ``(samples,)``, and ``known``, which is true for each
    known stem. For some backings only the sum is known: it is then in ``harmonic``, ``percussive``
    is silent, and ``known`` is true only for the voice.
    """

    def __init__(
        self, dataset: PreparedDataset, mixing: MixConfig, *, seed: int, count: int
    ) -> None:
        super().__init__(dataset, mixing, seed=seed, count=count)
        drummed = list(dataset.holding("drums"))
        self._drums = Pool([(track, ("drums",)) for track in drummed], mixing)
        self._pitched = Pool(
            [(track, parts) for track in dataset.tracks if (parts := self._harmonic_parts(track))],
            mixing,
        )
        self._bands = Pool(
            [(track, parts) for track in drummed if (parts := self._harmonic_parts(track))], mixing
        )
        if not (self._drums and self._pitched):
            raise SepbenchError(
                "training of percussive and harmonic stems needs songs with drums and with bass "
                "or other; one of the two is missing"
            )

    def _example(self, rng: Generator) -> dict[str, torch.Tensor]:
        if rng.random() < self.mixing.known:
            voice, drums, pitched = self._mix_three(rng)
            known = [True, True, True]
        else:
            voice, pitched = self._mix(rng)
            drums = np.zeros_like(voice)
            known = [True, False, False]
        stems = dict(zip(STEMS, (voice, drums, pitched), strict=True))
        return {**self._tensors(stems, rng), "known": torch.tensor(known)}

    def _mix_three(self, rng: Generator) -> tuple[Signal, Signal, Signal]:
        mixing = self.mixing
        kind = rng.random()
        if self._bands and rng.random() < mixing.coherent:
            voice, drums, pitched = self._of_one_song(rng)
        else:
            voice, drums = self._voice(rng), self._draw(self._drums, rng)
            pitched = self._draw(self._pitched, rng)
        level = 10 ** (draw_level(mixing.percussive, rng) / 20)
        drums = drums * np.float32(level * ratio_of(pitched, drums))
        if rng.random() < mixing.layer:
            pool = self._drums if rng.random() < 0.5 else self._pitched
            other = self._draw(pool, rng)
            to = drums if pool is self._drums else pitched
            to = to + other * np.float32(10 ** (rng.uniform(-9, 3) / 20) * ratio_of(to, other))
            drums, pitched = (to, pitched) if pool is self._drums else (drums, to)
        voice = self._treat_voice(voice, rng)
        drums, pitched = self._treat_backing(drums, rng), self._treat_backing(pitched, rng)
        if rng.random() < mixing.no_percussive:
            drums[:] = 0
        elif rng.random() < mixing.no_harmonic:
            pitched[:] = 0
        wanted = 10 ** (draw_level(mixing.ratio, rng) / 20)
        voice *= np.float32(wanted * ratio_of(drums + pitched, voice))
        if kind < mixing.no_voice:
            voice[:] = 0
        elif kind > 1 - mixing.no_backing:
            drums[:], pitched[:] = 0, 0
        gain = draw_gain(voice + drums + pitched, mixing, rng)
        return voice * gain, drums * gain, pitched * gain

    def _of_one_song(self, rng: Generator) -> tuple[Signal, Signal, Signal]:
        """Read a passage of a song, with its own voice if it has one and another if not."""
        track, parts = self._bands.draw(rng)
        speed = self._speed(rng)
        start = self._start(track, speed, rng)
        drums = self._read(track, "drums", start, speed)
        pitched = self._sum(track, parts, start, speed, rng)
        voice = (
            self._read(track, "vocals", start, speed)
            if "vocals" in track.parts
            else self._voice(rng)
        )
        return voice, drums, pitched

    def _harmonic_parts(self, track: PreparedTrack) -> tuple[str, ...]:
        if is_without_drums(track, self.mixing):
            return backing_parts(track)
        return tuple(part for part in _HARMONIC if part in track.parts)


def examples_of(
    stems: tuple[str, ...], dataset: PreparedDataset, mixing: MixConfig, *, seed: int, count: int
) -> Examples:
    """Return the examples for a method with these ``stems``."""
    if mixing.mixtures != "remix":
        kind = SongExamples if mixing.mixtures == "songs" else ScaperExamples
        return kind(dataset, mixing, stems=stems, seed=seed, count=count)
    if set(stems) == set(STEMS):
        return StemExamples(dataset, mixing, seed=seed, count=count)
    if set(stems) == set(BAND_STEMS):
        return BandExamples(dataset, mixing, seed=seed, count=count)
    return Examples(dataset, mixing, seed=seed, count=count)
