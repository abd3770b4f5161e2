"""The section ``examples`` of a training config: how examples are mixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sepbench.options import option


def _chance(default: float, help: str) -> Any:
    return option(default, f"probability of {help}", minimum=0, maximum=1)


@dataclass(frozen=True)
class MixConfig:
    """Content of examples, and probabilities of their effects.

    Levels are in dB; ranges of levels are the lowest, the highest and the most likely.
    """

    mixtures: str = option(
        "remix",
        "remix: any voice over any backing, by all fields; songs: the songs' own mixtures at their "
        "own levels, by seconds, no_voice and weights alone; scaper: stems of one song or of "
        "several, each at a level of its own, by stem_level, semitones and tempo besides",
        choices=("remix", "songs", "scaper"),
    )
    exclude: tuple[str, ...] = option((), "patterns of the names of songs that are left out")
    seconds: float = option(6.0, "length of an example", minimum=0.01, maximum=600)
    coherent: float = _chance(0.3, "voice and backing from the same moment of one song")
    no_voice: float = _chance(0.03, "silence in place of the voice")
    no_backing: float = _chance(0.02, "silence in place of the backing")
    ratio: tuple[float, float, float] = option((-10.0, 5.0, -3.0), "voice over backing")
    gain: tuple[float, float] = option((-10.0, 10.0), "level of the whole, lowest and highest")
    instrument_gain: tuple[float, float] = option((-6.0, 6.0), "level of each instrument")
    no_instrument: float = _chance(0.1, "an instrument left out")
    stem_level: tuple[float, float] = option((-5.0, 5.0), "scaper: level of each stem")
    semitones: float = option(3.0, "largest shift of pitch and tempo together", minimum=0)
    shifted: float = _chance(0.5, "a shift of pitch")
    stretch: float = _chance(0.0, "a change of the tempo")
    tempo: tuple[float, float] = option((0.8, 1.2), "that change, lowest and highest")
    voice_room: float = _chance(0.5, "reverberation of the voice")
    voice_colour: float = _chance(0.6, "an equaliser on the voice")
    voice_compression: float = _chance(0.4, "a compressor on the voice")
    voice_saturation: float = _chance(0.1, "saturation of the voice")
    voice_chops: float = _chance(0.0, "a short piece of the voice, repeated or held in a rhythm")
    voice_vocoder: float = _chance(0.0, "a vocoder on the voice")
    doubling: float = _chance(0.15, "the voice doubled")
    harmony: float = _chance(0.12, "the voice with a second one in harmony")
    duet: float = _chance(0.04, "a second voice from elsewhere")
    backing_room: float = _chance(0.15, "reverberation of the backing")
    backing_colour: float = _chance(0.4, "an equaliser on the backing")
    backing_compression: float = _chance(0.3, "a compressor on the backing")
    backing_saturation: float = _chance(0.1, "saturation of the backing")
    backing_chops: float = _chance(0.0, "a short piece of the backing, repeated or held")
    layer: float = _chance(0.1, "a second backing, from anywhere, on top")
    fade: float = _chance(0.05, "a fade of the voice, and one of the backing")
    channels: int = option(1, "channels of an example", minimum=1, maximum=2)
    placed: float = _chance(0.7, "two channels that differ: the voice near the middle, others wide")
    mid_side: float = _chance(
        0.0, "one channel: the mid of a song placed so, or in three of ten its side"
    )
    weights: Mapping[str, float] = option(
        {}, "how often a source is drawn, relative to the others that have the wanted part"
    )
    known: float = _chance(0.8, "a backing whose percussive and harmonic parts are known")
    percussive: tuple[float, float, float] = option(
        (-14.0, 6.0, -3.0), "drums over harmonic part, before effects"
    )
    bass: tuple[float, float, float] = option(
        (-12.0, 6.0, -2.0), "bass over other instruments, before effects"
    )
    no_percussive: float = _chance(0.04, "silence in place of the percussive part")
    no_harmonic: float = _chance(0.03, "silence in place of the harmonic part")
    harmonic: Mapping[str, str] = option(
        {}, "sources whose accompaniment has no drums, with a pattern for the names of such tracks"
    )

    def wrong_range(self) -> str | None:
        """Return which range is invalid and why, or None."""
        for name in ("gain", "instrument_gain", "stem_level", "tempo"):
            low, high = getattr(self, name)
            if low > high:
                return f"field {name}=[{low:g}, {high:g}]: write the lowest first"
        for source, weight in self.weights.items():
            if not weight >= 0:
                return f"field weights: {source}: {weight:g}: write 0 to leave it out"
        if self.tempo[0] <= 0:
            return f"field tempo=[{self.tempo[0]:g}, {self.tempo[1]:g}]: must be above 0"
        for name in ("ratio", "percussive", "bass"):
            low, high, likely = getattr(self, name)
            if not low <= likely <= high:
                return (
                    f"field {name}=[{low:g}, {high:g}, {likely:g}]: write the lowest, the highest "
                    "and, between them, the most likely"
                )
        return None
