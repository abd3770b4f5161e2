"""Simulated songs from a seed: drums, bass, chords and a sung voice, with exact stems."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sepbench.datasets.base import SUBSETS, Dataset, Track, TrackAudio, assemble
from sepbench.datasets.composition import BEATS, Note, Song
from sepbench.datasets.synthesis import Band
from sepbench.errors import SepbenchError

STEMS = ("vocals", "drums", "bass", "other")

# Increase it whenever the same seed would give other samples.
_GENERATOR = "1"

# Stem and level of each instrument at gain 1.
_MIX = {
    "kick": ("drums", 0.28),
    "snare": ("drums", 0.18),
    "hat": ("drums", 0.05),
    "open hat": ("drums", 0.05),
    "crash": ("drums", 0.07),
    "bass": ("bass", 0.10),
    "pad": ("other", 0.025),
    "pluck": ("other", 0.05),
    "voice": ("vocals", 0.11),
}

# Delay in seconds, gain and pan of the echoes of the voice.
_ECHOES = ((0.0, 1.0, 0.0), (0.031, 0.15, -0.8), (0.043, 0.15, 0.8), (0.13, 0.08, 0.0))


Samples: TypeAlias = NDArray[np.float32]


def simulate(seed: tuple[int, ...], seconds: float, *, rate: int = 44100) -> dict[str, Samples]:
    """Return the stems of a song, each float32 ``(2, samples)``.

    The same seed gives the same samples, and a longer song begins like a shorter one. All samples
    are multiples of 2**-15, so stems add up without rounding and fit 16-bit files.
    """
    song = Song(seed)
    band = Band(rate, song.tempo, seed, high_voice=song.high_voice)
    samples = max(1, round(seconds * rate))
    stems = {name: np.zeros((2, samples), np.float32) for name in STEMS}
    beat = 60.0 / song.tempo
    bar = 0
    while bar * BEATS * beat < seconds:
        for note in song.bar(bar):
            _mix(note, band, round(note.beat * beat * rate), rate, stems)
        bar += 1
    for stem in stems.values():
        np.rint(stem * 32768, out=stem)
        stem /= 32768
    return stems


def _mix(note: Note, band: Band, onset: int, rate: int, stems: dict[str, Samples]) -> None:
    name, level = _MIX[note.instrument]
    sound = band.play(note)
    echoes = _ECHOES if note.instrument == "voice" else _ECHOES[:1]
    for delay, gain, pan in echoes:
        angle = np.pi / 4 * (1 + np.clip(note.pan + pan, -1, 1))
        for channel, side in enumerate((np.cos(angle), np.sin(angle))):
            line = sound[channel] if sound.ndim == 2 else sound
            _add(
                stems[name][channel],
                line,
                onset + round(delay * rate),
                level * note.gain * gain * side,
            )


def _add(stem: Samples, sound: Samples, onset: int, gain: float) -> None:
    skipped = max(0, -onset)
    onset += skipped
    part = sound[skipped : skipped + max(0, len(stem) - onset)]
    stem[onset : onset + len(part)] += np.float32(gain) * part


@dataclass(frozen=True)
class SimulatedTrack(Track):
    """One simulated song: its seed, its length in seconds and its rate in Hz."""

    seed: tuple[int, ...] = (0, 0)
    seconds: float = 12.0
    rate: int = 44100

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        """Make the song and cut out the span; see `Track.load`."""
        if not 0 <= start < self.seconds:
            raise SepbenchError(
                f"track {self.name}: cannot start at {start:g} s; it is {self.seconds:g} s long"
            )
        end = self.seconds if duration is None else min(self.seconds, start + duration)
        first = round(start * self.rate)
        stems = {
            name: np.ascontiguousarray(stem[:, first:])
            for name, stem in simulate(self.seed, end, rate=self.rate).items()
        }
        mixture = np.asarray(np.sum(list(stems.values()), axis=0, dtype=np.float32))
        return assemble(self.name, mixture, stems, self.rate)

    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        """Return a hash of the seed, the settings and the span; see `Track.digest`."""
        facts = [_GENERATOR, self.seed, self.seconds, self.rate, start, duration]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class Simulated(Dataset):
    """Songs from seeds: ``count`` of them, each of ``seconds`` at ``rate`` Hz."""

    name = "simulated"
    summary = "simple pop songs made in memory from a seed, with exact stems"
    license = "none needed: generated music"
    how_to_get = "Built in: generated on use."

    def __init__(
        self,
        root: Path | None = None,
        *,
        count: int = 4,
        seconds: float = 12.0,
        rate: int = 44100,
        seed: int = 0,
    ) -> None:
        super().__init__(root)
        self._songs = range(count)
        self._seconds, self._rate, self._seed = seconds, rate, seed

    def tracks(self, subset: str = "test") -> list[Track]:
        """Return the songs; every subset has its own."""
        chosen = SUBSETS if subset == "all" else (subset,)
        return [self._track(name, number) for name in chosen for number in self._songs]

    def _track(self, subset: str, number: int) -> SimulatedTrack:
        # Songs of the test set have plain names and seeds.
        part = ("test", "valid", "train").index(subset)
        prefix = "simulated" if part == 0 else f"simulated-{subset}"
        return SimulatedTrack(
            name=f"{prefix}-{number:03d}",
            subset=subset,
            dataset=self.name,
            stems=STEMS,
            part_of=(self.name, f"{self.name}/{subset}"),
            seed=(self._seed, number, part),
            seconds=self._seconds,
            rate=self._rate,
        )
