"""Synthesises drums, bass, pad, pluck and a singing voice from harmonics and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sepbench.datasets.composition import Note

Sound: TypeAlias = NDArray[np.float32]
"""``(samples,)``, or ``(2, samples)`` for stereo sounds."""

Signal: TypeAlias = NDArray[np.floating[Any]]

_TABLE = 4096

FORMANTS = {
    "a": (800.0, 1200.0, 2600.0, 3500.0, 4900.0),
    "e": (450.0, 1900.0, 2600.0, 3600.0, 4900.0),
    "i": (300.0, 2250.0, 2950.0, 3600.0, 4900.0),
    "o": (450.0, 800.0, 2600.0, 3500.0, 4900.0),
    "u": (330.0, 700.0, 2500.0, 3400.0, 4900.0),
}
"""Formants in Hz, rounded from phonetic measurements of men."""

_BANDWIDTHS = (80.0, 90.0, 120.0, 150.0, 200.0)
_HIGH_VOICE = 1.15

# Centre and width in Hz, seconds and level of the noise of each consonant.
_CONSONANTS = {
    "s": (6500.0, 2000.0, 0.09, 0.30),
    "sh": (3500.0, 1500.0, 0.09, 0.30),
    "f": (5000.0, 4000.0, 0.07, 0.12),
    "h": (1800.0, 1500.0, 0.06, 0.12),
    "t": (4500.0, 3000.0, 0.02, 0.40),
    "k": (2000.0, 1000.0, 0.025, 0.40),
}


def hertz(pitch: float) -> float:
    """Return the frequency of a MIDI pitch.

    >>> hertz(69)
    440.0
    """
    return float(440.0 * 2 ** ((pitch - 69) / 12))


class Band:
    """The instruments of a song; equal notes give equal sounds."""

    def __init__(self, rate: int, tempo: float, seed: tuple[int, ...], *, high_voice: bool) -> None:
        self._rate = rate
        self._beat = 60.0 / tempo
        self._seed = seed
        self._scale = _HIGH_VOICE if high_voice else 1.0
        self._played: dict[tuple[str, float, float], Sound] = {}
        self._players: dict[str, Callable[[Note], Sound]] = {
            "kick": self._kick,
            "snare": self._snare,
            "hat": lambda note: self._cymbal(7000.0, 0.03, 3),
            "open hat": lambda note: self._cymbal(6500.0, 0.15, 4),
            "crash": lambda note: self._cymbal(4500.0, 0.6, 5),
            "bass": self._bass,
            "pad": self._pad,
            "pluck": self._pluck,
        }

    def play(self, note: Note) -> Sound:
        """Return the sound of a note at gain 1, from its beat on."""
        if note.instrument == "voice":
            return self._sing(note)
        key = (note.instrument, note.pitch, note.beats)
        if key not in self._played:
            self._played[key] = self._players[note.instrument](note)
        return self._played[key]

    def _times(self, seconds: float) -> Signal:
        return np.arange(max(1, round(seconds * self._rate))) / self._rate

    def _draw(self, salt: int) -> np.random.Generator:
        return np.random.default_rng((*self._seed, 3, salt))

    def _noise(self, samples: int, draw: np.random.Generator, low: float, high: float) -> Signal:
        """Return noise of RMS 1 between two frequencies, with soft edges."""
        size = 1 << max(6, (samples - 1).bit_length())
        bins = np.fft.rfftfreq(size, 1 / self._rate)
        gains = 1 / np.sqrt((1 + (low / np.maximum(bins, 1)) ** 8) * (1 + (bins / high) ** 8))
        noise = np.fft.irfft(np.fft.rfft(draw.standard_normal(size)) * gains, size)[:samples]
        level = float(np.sqrt(np.square(noise).mean()))
        return np.asarray(noise / max(level, 1e-12))

    def _table(self, fundamental: float, slope: Callable[[Signal], object]) -> Sound:
        """Return one period of RMS 1 whose harmonics have the amplitudes ``slope(hertz)``."""
        count = int(min(0.45 * self._rate, 12000.0) / fundamental)
        harmonics = np.arange(1, max(count, 1) + 1)
        spectrum = np.zeros(_TABLE // 2 + 1, complex)
        # Phases that grow with the square of the number keep the peak of the sum low.
        amplitudes = np.asarray(slope(harmonics * fundamental))
        spectrum[harmonics] = amplitudes * np.exp(-1j * np.pi * harmonics**2 / len(harmonics))
        period = np.fft.irfft(spectrum, _TABLE)
        return np.append(period, period[0]).astype(np.float32) / np.float32(
            np.sqrt(np.square(period).mean())
        )

    def _turns(self, frequency: Signal | float, samples: int) -> Signal:
        """Return the phase in turns of a tone whose frequency may move."""
        steps = np.broadcast_to(np.asarray(frequency) / self._rate, (samples,))
        return np.asarray(np.cumsum(steps) - steps[0])

    def _kick(self, note: Note) -> Sound:
        times = self._times(0.35)
        sweep = 48 + 110 * np.exp(-times / 0.03)
        body = np.sin(2 * np.pi * self._turns(sweep, len(times))) * np.exp(-times / 0.11)
        click = self._noise(len(times), self._draw(1), 1000, 5000) * np.exp(-times / 0.004)
        return _faded(body + 0.15 * click, self._rate)

    def _snare(self, note: Note) -> Sound:
        times = self._times(0.3)
        skin = np.sin(2 * np.pi * 185 * times) * np.exp(-times / 0.06)
        wires = self._noise(len(times), self._draw(2), 1200, 9000) * np.exp(-times / 0.07)
        return _faded(0.6 * skin + 0.45 * wires, self._rate)

    def _cymbal(self, low: float, decay: float, salt: int) -> Sound:
        times = self._times(6 * decay)
        noise = self._noise(len(times), self._draw(salt), low, 15000)
        return _faded(noise * np.exp(-times / decay), self._rate)

    def _bass(self, note: Note) -> Sound:
        frequency = hertz(note.pitch)
        times = self._times(note.beats * self._beat)
        bright = self._table(frequency, lambda f: f**-1.0 / (1 + (f / 900) ** 4))
        dull = self._table(frequency, lambda f: f**-1.0 / (1 + (f / 250) ** 4))
        turns = self._turns(frequency, len(times))
        fade = np.exp(-times / 0.15)
        tone = _look_up(bright, turns) * fade + _look_up(dull, turns) * (1 - fade)
        return _faded(tone * np.exp(-times / 1.2), self._rate, attack=0.004, release=0.03)

    def _pad(self, note: Note) -> Sound:
        times = self._times(note.beats * self._beat + 0.2)
        frequency = hertz(note.pitch)
        table = self._table(frequency, lambda f: f**-1.2 / (1 + (f / 2500) ** 2))
        # Two slightly detuned voices, one per side, widen the sound.
        sides = [
            _look_up(table, self._turns(frequency * detune, len(times)) + offset)
            for detune, offset in ((2 ** (-4 / 1200), 0.0), (2 ** (4 / 1200), 0.3))
        ]
        return _faded(np.stack(sides), self._rate, attack=0.15, release=0.2)

    def _pluck(self, note: Note) -> Sound:
        times = self._times(0.7)
        frequency = hertz(note.pitch)
        bright = self._table(frequency, lambda f: f**-0.8 / (1 + (f / 5000) ** 4))
        dull = self._table(frequency, lambda f: f**-2.0)
        turns = self._turns(frequency, len(times))
        tone = _look_up(bright, turns) * np.exp(-times / 0.06)
        tone += _look_up(dull, turns) * np.exp(-times / 0.25)
        return _faded(tone, self._rate, attack=0.003, release=0.05)

    def _vowel(self, vowel: str, frequency: float) -> Sound:
        """Return one period of a vowel: a glottal source of -6 dB an octave through formants."""

        def slope(f: Signal) -> Signal:
            tract = np.ones_like(f, complex)
            for formant, bandwidth in zip(FORMANTS[vowel], _BANDWIDTHS, strict=True):
                centre = formant * self._scale
                tract /= 1 - (f / centre) ** 2 + 1j * f * bandwidth / centre**2
            return np.asarray(np.abs(tract) / f)

        return self._table(frequency, slope)

    def _sing(self, note: Note) -> Sound:
        draw = self._draw(1000 + round(note.beat * 1000))
        consonant, vowels = note.syllable
        onset = self._consonant(consonant, draw)
        seconds = note.beats * self._beat - len(onset) / self._rate
        times = self._times(seconds)
        # Glide into the note, then vibrato that grows during the note.
        scoop = -1.5 * np.exp(-times / 0.04)
        depth = 0.35 * np.clip((times - 0.2) / 0.4, 0, 1)
        vibrato = depth * np.sin(2 * np.pi * draw.uniform(5.0, 6.0) * times)
        frequency = hertz(note.pitch)
        turns = self._turns(frequency * 2 ** ((scoop + vibrato) / 12), len(times))
        glide = np.clip((times / seconds - 0.4) / 0.3, 0, 1)
        first, second = (self._vowel(vowel, frequency) for vowel in vowels)
        tone = _look_up(first, turns) * (1 - glide) + _look_up(second, turns) * glide
        breath = self._noise(len(times), draw, 2000, 9000)
        sung = _faded(tone + 0.03 * breath, self._rate, attack=0.04, release=0.08)
        return np.concatenate([onset, sung])

    def _consonant(self, consonant: str, draw: np.random.Generator) -> Sound:
        if not consonant:
            return np.zeros(0, np.float32)
        centre, width, seconds, level = _CONSONANTS[consonant]
        samples = round(seconds * self._rate)
        noise = self._noise(samples, draw, max(centre - width, 300.0), centre + width)
        return _faded(level * noise, self._rate, attack=0.01, release=0.015)


def _look_up(table: Sound, turns: Signal) -> Signal:
    place = (turns % 1.0) * _TABLE
    index = place.astype(np.intp)
    return table[index] + (place - index) * (table[index + 1] - table[index])


def _faded(sound: Signal, rate: int, *, attack: float = 0.0005, release: float = 0.005) -> Sound:
    """Return the sound with raised-cosine edges (seconds), so that it does not click."""
    samples = sound.shape[-1]
    envelope = np.ones(samples)
    for edge, seconds in ((envelope, attack), (envelope[::-1], release)):
        length = min(round(seconds * rate), samples // 2)
        edge[:length] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))
    return (sound * envelope).astype(np.float32)
