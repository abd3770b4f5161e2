"""Composes pop songs from a seed: key, tempo, chords, drums, melodies and syllables.

A bar depends only on the seed and its number, so a longer song begins like a shorter one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BEATS = 4
"""Beats in a bar."""

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_PROGRESSIONS = ((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (0, 3, 5, 4), (3, 0, 4, 5), (0, 2, 3, 4))
_KICKS = ((0, 2), (0, 2, 2.5), (0, 1.5, 2), (0, 0.5, 2), (0, 1, 2, 3))
_BASS_LINES = (
    (0, 1, 2, 3),
    (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5),
    (0, 1.5, 2, 3.5),
    (0, 0.75, 1.5, 2, 2.75),
)
_ARPEGGIOS = ((0, 1, 2, 3, 2, 1, 2, 1), (0, 2, 1, 2, 3, 2, 1, 2), (3, 2, 1, 0, 1, 2, 3, 2))
_RHYTHMS = (
    # Onsets in a phrase of two bars, with a pause to breathe after the last note.
    (0, 1, 1.5, 2, 3, 4, 4.5, 5),
    (0.5, 1, 1.5, 2, 3.5, 4, 5),
    (0, 0.5, 1, 2, 2.5, 3, 4),
    (0, 1.5, 2, 3, 4, 5.5),
)
_LONGEST_SYLLABLE = 2.0

_INTRO = ("intro",)
_CYCLE = ("verse",) * 8 + ("chorus",) * 8 + ("verse",) * 8 + ("chorus",) * 8 + ("bridge",) * 4


@dataclass(frozen=True)
class Note:
    """A note: beats from the start of the song, MIDI pitch, gain, pan.

    ``pan`` goes from -1, left, to 1, right. ``syllable`` is a consonant and one or two vowels.
    """

    instrument: str
    beat: float
    beats: float
    pitch: float = 0.0
    gain: float = 1.0
    pan: float = 0.0
    syllable: tuple[str, str] = ("", "")


class Song:
    """The score of an endless song."""

    def __init__(self, seed: tuple[int, ...]) -> None:
        self._seed = seed
        draw = np.random.default_rng(seed)
        self.tempo = float(draw.integers(84, 129))
        """Beats a minute."""
        self._key = int(draw.integers(-5, 7))
        verse, chorus = draw.permutation(len(_PROGRESSIONS))[:2]
        self._chords = {"verse": _PROGRESSIONS[verse], "chorus": _PROGRESSIONS[chorus]}
        self._kick = _KICKS[draw.integers(len(_KICKS))]
        self._bass_line = _BASS_LINES[draw.integers(len(_BASS_LINES))]
        self._arpeggio = _ARPEGGIOS[draw.integers(len(_ARPEGGIOS))]
        self._sixteenths = bool(draw.integers(2))
        self.high_voice = bool(draw.integers(2))
        """Whether the singer has a high voice."""

    def bar(self, number: int) -> Iterator[Note]:
        """Yield the notes that begin in a bar; a phrase of two bars belongs to its first."""
        place = (number - len(_INTRO)) % len(_CYCLE)
        section = "intro" if number < len(_INTRO) else _CYCLE[place]
        start = number * BEATS
        chords = self._chords["chorus" if section == "chorus" else "verse"]
        degree = chords[place % len(chords)]
        chord = [self._pitch(degree + step) for step in (0, 2, 4, 7)]
        yield from self._drums(start, section, last=place % 8 == 7, first=place % 8 == 0)
        yield from self._bass(start, section, chord[0])
        yield from self._other(start, section, chord)
        if section != "intro" and place % 2 == 0:
            yield from self._phrase(number, section, (degree, chords[(place + 1) % len(chords)]))

    def _pitch(self, degree: int) -> float:
        """Return the pitch of a step of the scale, counted from the keynote near C4."""
        octave, step = divmod(degree, len(_MAJOR))
        return 60.0 + self._key + 12 * octave + _MAJOR[step]

    def _drums(self, start: int, section: str, *, first: bool, last: bool) -> Iterator[Note]:
        if first:
            yield Note("crash", start, 4, gain=0.7, pan=-0.4)
        if section == "bridge":
            yield from (Note("hat", start + beat, 1, gain=0.5, pan=0.35) for beat in range(BEATS))
            return
        for beat in self._kick:
            yield Note("kick", start + beat, 1)
        fill = (2.5, 2.75, 3, 3.25, 3.5, 3.75) if last else ()
        for beat in (1, 3, *fill):
            yield Note("snare", start + beat, 1, gain=0.6 if beat in fill else 1.0, pan=0.05)
        step = 0.25 if self._sixteenths and section == "chorus" else 0.5
        for index, beat in enumerate(np.arange(0, BEATS, step)):
            accent = 1.0 if index % 2 == 0 else 0.6
            yield Note("hat", start + float(beat), 1, gain=accent, pan=0.35)
        if section == "chorus":
            yield Note("open hat", start + 3.5, 1, gain=0.8, pan=0.35)

    def _bass(self, start: int, section: str, root: float) -> Iterator[Note]:
        pitch = root - 24 if root < 64 else root - 36
        line = (0, 2) if section == "bridge" else self._bass_line
        for onset, following in zip(line, (*line[1:], BEATS), strict=True):
            yield Note("bass", start + onset, 0.9 * (following - onset), pitch)

    def _other(self, start: int, section: str, chord: list[float]) -> Iterator[Note]:
        low = [pitch - 12 if pitch > 67 else pitch for pitch in chord[:3]]
        for pitch in low:
            yield Note("pad", start, BEATS, pitch, gain=1.0 if section == "chorus" else 0.8)
        for index, tone in enumerate(self._arpeggio):
            pan = -0.6 if index % 2 == 0 else 0.6
            yield Note("pluck", start + index / 2, 1, chord[tone], gain=0.9, pan=pan)

    def _phrase(self, number: int, section: str, degrees: tuple[int, int]) -> Iterator[Note]:
        # The melody of a section repeats with other syllables.
        tune = np.random.default_rng((*self._seed, 1, number % 4, section == "chorus"))
        words = np.random.default_rng((*self._seed, 2, number))
        rhythm = _RHYTHMS[tune.integers(len(_RHYTHMS))]
        step = degrees[0] + int(tune.choice((0, 2, 4)))
        register = 4 if self.high_voice else -5
        for onset, following in zip(rhythm, (*rhythm[1:], rhythm[-1] + 1.5), strict=True):
            step += int(tune.choice((-2, -1, -1, 0, 1, 1, 2)))
            tones = [degrees[onset >= BEATS] + tone for tone in (-7, -5, -3, 0, 2, 4, 7, 9)]
            if onset == int(onset):
                step = min(tones, key=lambda tone: abs(tone - step))
            # Transpose by octaves back into the register.
            while self._pitch(step) + register - 62 > 7:
                step -= 7
            while self._pitch(step) + register - 62 < -7:
                step += 7
            vowels = "".join(words.choice(list("aeiou"), 2))
            consonant = str(words.choice(["s", "sh", "f", "t", "k", "h", ""]))
            yield Note(
                "voice",
                number * BEATS + onset + float(words.uniform(-0.01, 0.03)),
                min(0.95 * (following - onset), _LONGEST_SYLLABLE),
                self._pitch(step) + (0 if self.high_voice else -12),
                gain=float(words.uniform(0.8, 1.0)) * (1.1 if section == "chorus" else 1.0),
                syllable=(consonant, vowels),
            )
