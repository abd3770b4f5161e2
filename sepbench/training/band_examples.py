"""Training examples of four stems: voice, drums, bass and other instruments."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import Generator

from sepbench.errors import SepbenchError
from sepbench.training.augment import Signal
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.examples import Examples, draw_gain, draw_level, ratio_of
from sepbench.training.mix_config import MixConfig
from sepbench.training.pools import Pool, backing_parts, is_without_drums

STEMS = ("vocals", "drums", "bass", "other")
_BAND = STEMS[1:]


class BandExamples(Examples):
    """Mixtures of voice, drums, bass and other instruments.

    ``examples[i]`` has the four stems and ``known``, which is true for each known stem. For some
    backings only the sum is known. It is then used as ``other``, drums and bass are silent, and
    only the voice counts as known. A song without a part for the bass may have one in ``other``, so
    of these the drums are known, but neither bass nor ``other``.
    """

    def __init__(
        self, dataset: PreparedDataset, mixing: MixConfig, *, seed: int, count: int
    ) -> None:
        super().__init__(dataset, mixing, seed=seed, count=count)
        whole = [track for track in dataset.tracks if set(_BAND) <= set(track.parts)]
        pure = [
            (track, backing_parts(track))
            for track in dataset.tracks
            if is_without_drums(track, mixing)
        ]
        self._parts = {
            "drums": Pool([(track, ("drums",)) for track in dataset.holding("drums")], mixing),
            "bass": Pool([(track, ("bass",)) for track in dataset.holding("bass")], mixing),
            "other": Pool([*((track, ("other",)) for track in whole), *pure], mixing),
        }
        self._bands = Pool(
            [(track, backing_parts(track)) for track in dataset.holding("drums", "other")], mixing
        )
        if not (all(self._parts.values()) and self._bands):
            raise SepbenchError(
                "training of drums and bass needs songs with drums, bass and other; "
                "there are none, or none is drawn"
            )

    def _example(self, rng: Generator) -> dict[str, torch.Tensor]:
        if rng.random() < self.mixing.known:
            voice, band, known = self._mix_band(rng)
        else:
            voice, rest = self._mix(rng)
            band = {"drums": np.zeros_like(rest), "bass": np.zeros_like(rest), "other": rest}
            known = [True, False, False, False]
        return {**self._tensors({"vocals": voice, **band}, rng), "known": torch.tensor(known)}

    def _mix_band(self, rng: Generator) -> tuple[Signal, dict[str, Signal], list[bool]]:
        """Return a voice, the parts of a band, and which stems are known."""
        mixing = self.mixing
        kind = rng.random()
        if rng.random() < mixing.coherent:
            voice, band, known = self._of_one_song(rng)
        else:
            voice, band, known = self._voice(rng), self._of_several(rng), [True] * len(STEMS)
        if rng.random() < mixing.layer:
            part = _BAND[int(rng.integers(len(_BAND)))]
            more = self._draw(self._parts[part], rng)
            level = 10 ** (rng.uniform(-9, 3) / 20) * ratio_of(band[part], more)
            band[part] = band[part] + more * np.float32(level)
        voice = self._treat_voice(voice, rng)
        band = {part: self._treat_backing(signal, rng) for part, signal in band.items()}
        if all(known):
            left_out = rng.random(len(_BAND)) < mixing.no_instrument
            for part in np.array(_BAND)[left_out & ~left_out.all()]:
                band[part][:] = 0
        backing = np.sum(list(band.values()), axis=0)
        voice *= np.float32(10 ** (draw_level(mixing.ratio, rng) / 20) * ratio_of(backing, voice))
        if kind < mixing.no_voice:
            voice[:] = 0
        elif kind > 1 - mixing.no_backing:
            backing[:] = 0
            band = {part: np.zeros_like(voice) for part in _BAND}
        gain = draw_gain(voice + backing, mixing, rng)
        return voice * gain, {part: signal * gain for part, signal in band.items()}, known

    def _of_one_song(self, rng: Generator) -> tuple[Signal, dict[str, Signal], list[bool]]:
        """Read a passage of a song, with its own voice if it has one and another if not."""
        track, parts = self._bands.draw(rng)
        speed = self._speed(rng)
        start = self._start(track, speed, rng)
        gains = 10 ** (rng.uniform(*self.mixing.instrument_gain, len(_BAND)) / 20)
        band = {
            part: np.float32(gain) * self._read(track, part, start, speed)
            if part in parts
            else np.zeros(self.samples, np.float32)
            for part, gain in zip(_BAND, gains, strict=True)
        }
        voice = (
            self._read(track, "vocals", start, speed)
            if "vocals" in track.parts
            else self._voice(rng)
        )
        return voice, band, [True, True] + ["bass" in parts] * 2

    def _of_several(self, rng: Generator) -> dict[str, Signal]:
        """Read each part from a song of its own; levels of drums and bass are over the other."""
        mixing = self.mixing
        band = {part: self._draw(self._parts[part], rng) for part in _BAND}
        for part, levels in (("drums", mixing.percussive), ("bass", mixing.bass)):
            level = 10 ** (draw_level(levels, rng) / 20)
            band[part] = band[part] * np.float32(level * ratio_of(band["other"], band[part]))
        return band
