"""Training examples, mixed on demand from prepared data, reproducible by seed and index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch.utils.data import Dataset

from sepbench.errors import SepbenchError
from sepbench.training import augment, electronic
from sepbench.training.augment import Signal
from sepbench.training.data.prepared import PreparedDataset, PreparedTrack
from sepbench.training.mix_config import MixConfig
from sepbench.training.placement import Stereo, placed, same
from sepbench.training.pools import Pool, backing_parts

_SIDE = 0.3
"""Share of sides among the examples that are the mid or the side of a song."""


class Examples(Dataset[dict[str, torch.Tensor]]):
    """Mixtures and their stems, made on access.

    ``examples[i]`` is ``{"vocals": ..., "accompaniment": ...}``, each ``(samples,)``, or
    ``(2, samples)`` with two channels; their sum is the mixture. It depends only on the seed,
    ``i``, the config and the data.
    """

    def __init__(
        self, dataset: PreparedDataset, mixing: MixConfig, *, seed: int, count: int
    ) -> None:
        self.dataset, self.mixing, self.seed, self.count = dataset, mixing, seed, count
        self.samples = int(mixing.seconds * dataset.rate)
        self._voices = Pool([(track, ("vocals",)) for track in dataset.holding("vocals")], mixing)
        self._backings = Pool(
            [(track, parts) for track in dataset.tracks if (parts := backing_parts(track))], mixing
        )
        self._songs = Pool(
            [
                (track, parts)
                for track in dataset.holding("vocals")
                if (parts := backing_parts(track))
            ],
            mixing,
        )
        if not (self._voices and self._backings):
            lacking = "voice" if self._backings else "backing" if self._voices else "song"
            raise SepbenchError(
                "training needs voices and backings: "
                f"of {len(dataset.tracks)} songs for training no {lacking} can be used; "
                "see exclude and weights in the config's section 'examples'"
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self._example(np.random.Generator(np.random.Philox(key=[self.seed, index])))

    def _example(self, rng: Generator) -> dict[str, torch.Tensor]:
        """Return an example by a random generator of its own."""
        voice, backing = self._mix(rng)
        return self._tensors({"vocals": voice, "accompaniment": backing}, rng)

    def _tensors(self, stems: Mapping[str, Signal], rng: Generator) -> dict[str, torch.Tensor]:
        """Return the stems in as many channels as the config says."""
        if self.mixing.channels == 1:
            if _happens(self.mixing.mid_side, rng):
                stems = self._mid_or_side(stems, rng)
            return {name: torch.from_numpy(stem) for name, stem in stems.items()}
        is_wide = rng.random() < self.mixing.placed
        return {
            name: torch.from_numpy(self._placed(name, stem, rng) if is_wide else same(stem))
            for name, stem in stems.items()
        }

    def _mid_or_side(self, stems: Mapping[str, Signal], rng: Generator) -> dict[str, Signal]:
        """Place the stems between left and right, and return those of the mid or of the side."""
        sign = np.float32(-1 if rng.random() < _SIDE else 1)
        made = {}
        for name, stem in stems.items():
            left, right = self._placed(name, stem, rng)
            made[name] = (left + sign * right) / 2
        return made

    def _placed(self, name: str, stem: Signal, rng: Generator) -> Stereo:
        """Place a voice near the middle, or another stem anywhere."""
        width, spread = (0.15, 0.3) if name == "vocals" else (np.pi / 4, 0.6)
        width, spread = rng.uniform(0, width), rng.uniform(0, spread)
        return placed(stem, rng, self.dataset.rate, width=width, spread=spread)

    def _mix(self, rng: Generator) -> tuple[Signal, Signal]:
        mixing = self.mixing
        kind = rng.random()
        if self._songs and rng.random() < mixing.coherent:
            voice, backing = self._coherent(rng)
        else:
            voice, backing = self._voice(rng), self._backing(rng)
        if rng.random() < mixing.layer:
            other = self._backing(rng)
            backing = backing + other * np.float32(
                10 ** (rng.uniform(-9, 3) / 20) * ratio_of(backing, other)
            )
        voice = self._treat_voice(voice, rng)
        backing = self._treat_backing(backing, rng)
        wanted = 10 ** (draw_level(mixing.ratio, rng) / 20)
        voice *= np.float32(wanted * ratio_of(backing, voice))
        if kind < mixing.no_voice:
            voice[:] = 0
        elif kind > 1 - mixing.no_backing:
            backing[:] = 0
        gain = draw_gain(voice + backing, mixing, rng)
        return voice * gain, backing * gain

    def _coherent(self, rng: Generator) -> tuple[Signal, Signal]:
        track, parts = self._songs.draw(rng)
        speed = self._speed(rng)
        start = self._start(track, speed, rng)
        voice = self._read(track, "vocals", start, speed)
        return voice, self._sum(track, parts, start, speed, rng)

    def _voice(self, rng: Generator) -> Signal:
        for _ in range(4):  # singers pause; avoid silent passages
            track, _ = self._voices.draw(rng)
            speed = self._speed(rng)
            voice = self._read(track, "vocals", self._start(track, speed, rng), speed)
            if augment.rms(voice) > 3e-3:
                break
        return voice

    def _backing(self, rng: Generator) -> Signal:
        return self._draw(self._backings, rng)

    def _draw(self, pool: Pool, rng: Generator) -> Signal:
        """Read a passage of a track of a pool, if possible not a silent one."""
        for _ in range(4):
            track, parts = pool.draw(rng)
            speed = self._speed(rng)
            signal = self._sum(track, parts, self._start(track, speed, rng), speed, rng)
            if augment.rms(signal) > augment.INAUDIBLE:
                break
        return signal

    def _sum(
        self,
        track: PreparedTrack,
        parts: tuple[str, ...],
        start: int,
        speed: _Speed,
        rng: Generator,
    ) -> Signal:
        """Mix instruments at random levels, sometimes leaving one out."""
        total = np.zeros(self.samples, np.float32)
        keep = rng.random(len(parts)) < 1 - self.mixing.no_instrument
        gains = 10 ** (rng.uniform(*self.mixing.instrument_gain, len(parts)) / 20)
        for part, kept, gain in zip(parts, keep | ~keep.any(), gains, strict=True):
            if kept:
                total += np.float32(gain) * self._read(track, part, start, speed)
        return total

    def _speed(self, rng: Generator) -> _Speed:
        pitch = tempo = 1.0
        if rng.random() >= 1 - self.mixing.shifted:
            pitch = float(2 ** (rng.uniform(-self.mixing.semitones, self.mixing.semitones) / 12))
        if _happens(self.mixing.stretch, rng):
            tempo = float(rng.uniform(*self.mixing.tempo))
        return _Speed(pitch, tempo)

    def _start(self, track: PreparedTrack, speed: _Speed, rng: Generator) -> int:
        return int(rng.integers(0, max(1, track.samples - speed.needs(self.samples))))

    def _read(self, track: PreparedTrack, part: str, start: int, speed: _Speed) -> Signal:
        length = speed.needs(self.samples) + 16
        return speed.play(track.read(part, start, start + length), self.samples)

    def _treat_voice(self, voice: Signal, rng: Generator) -> Signal:
        mixing, rate = self.mixing, self.dataset.rate
        if _happens(mixing.voice_chops, rng):
            voice = electronic.chop(voice, rng, rate)
        if _happens(mixing.voice_vocoder, rng):
            voice = electronic.vocode(voice, rng, rate)
        if rng.random() < mixing.duet:
            other = self._voice(rng)
            voice = voice + other * np.float32(rng.uniform(0.3, 1.0) * ratio_of(voice, other))
        if rng.random() < mixing.harmony:
            voice = voice + self._copies(voice, rng, steps=(-12, -5, -4, 3, 4, 5, 7))
        if rng.random() < mixing.doubling:
            voice = voice + self._copies(voice, rng, steps=(0,))
        if rng.random() < mixing.voice_compression:
            voice = augment.compress(voice, rng, rate)
        if rng.random() < mixing.voice_saturation:
            voice = augment.saturate(voice, rng)
        voice = augment.shape(voice, rng, rate, room=mixing.voice_room, colour=mixing.voice_colour)
        return augment.fade(voice, rng, rate) if rng.random() < mixing.fade else voice.copy()

    def _copies(self, voice: Signal, rng: Generator, *, steps: tuple[int, ...]) -> Signal:
        """Return one or two copies, shifted by a step and a few cents, slightly delayed."""
        total = np.zeros_like(voice)
        for _ in range(int(rng.integers(1, 3))):
            ratio = 2 ** ((rng.choice(steps) + rng.uniform(-0.25, 0.25)) / 12)
            late = min(int(rng.uniform(0.005, 0.04) * self.dataset.rate), len(voice))
            needed = int(ratio * len(voice)) + 16
            copy = augment.varispeed(np.resize(voice, needed), ratio, len(voice))
            total[late:] += np.float32(rng.uniform(0.3, 0.9)) * copy[: len(voice) - late]
        return total

    def _treat_backing(self, backing: Signal, rng: Generator) -> Signal:
        mixing, rate = self.mixing, self.dataset.rate
        if _happens(mixing.backing_chops, rng):
            backing = electronic.chop(backing, rng, rate)
        if rng.random() < mixing.backing_compression:
            backing = augment.compress(backing, rng, rate)
        if rng.random() < mixing.backing_saturation:
            backing = augment.saturate(backing, rng)
        backing = augment.shape(
            backing, rng, rate, room=mixing.backing_room, colour=mixing.backing_colour
        )
        return augment.fade(backing, rng, rate) if rng.random() < mixing.fade else backing.copy()


@dataclass(frozen=True)
class _Speed:
    """Speed of a recording: a factor on pitch and tempo, and a factor on tempo only."""

    pitch: float
    tempo: float

    def needs(self, samples: int) -> int:
        """Return the number of samples of the recording behind ``samples`` samples."""
        return int(samples * self.pitch * self.tempo)

    def play(self, signal: Signal, samples: int) -> Signal:
        """Return ``samples`` samples of a recording at this speed."""
        if self.tempo == 1.0:
            return augment.varispeed(signal, self.pitch, samples)
        shifted = augment.varispeed(signal, self.pitch, int(samples * self.tempo) + 8)
        return augment.stretch(shifted, self.tempo, samples)


def _happens(probability: float, rng: Generator) -> bool:
    """Draw whether an effect is applied.

    Nothing is drawn at 0, so that configs from before an effect existed give the same examples.
    """
    return probability > 0 and rng.random() < probability


def draw_level(levels: tuple[float, float, float], rng: Generator) -> float:
    """Draw from a triangular distribution; levels are the lowest, highest and most likely in dB."""
    low, high, mode = levels
    return float(rng.triangular(low, mode, high)) if low < high else low


def ratio_of(reference: Signal, other: Signal) -> float:
    """Return the gain that scales ``other`` to the level of ``reference``, 1 if one is silent.

    So noise in a pause is not raised to the level of singing.
    """
    here, there = augment.active_rms(reference), augment.active_rms(other)
    return here / there if min(here, there) > augment.INAUDIBLE else 1.0


def draw_gain(mixture: Signal, mixing: MixConfig, rng: Generator) -> np.float32:
    """Draw the gain that brings a mixture to a level of the config, and the sign of its samples."""
    loudness = max(augment.active_rms(mixture), augment.INAUDIBLE)
    level = 10 ** ((rng.uniform(*mixing.gain) - 20) / 20) / (loudness + 1e-6)
    return np.float32(level * rng.choice([-1, 1]))
