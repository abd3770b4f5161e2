"""Play songs of drums, bass and other instruments from the grooves of MMA, to train with.

    apt-get install mma fluidsynth fluid-soundfont-gm timgm6mb-soundfont musescore-general-soundfont
    pip install mido
    python benchmarks/grooves.py --out corpus/grooves

Each song has a groove, a tempo, two chord progressions and a sound font at random, always the same
ones with MMA 21.09. Of 94 songs of up to 44 s those that lack one of the three parts are left out.
The sound fonts are MIT and GPL.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mido

RATE = 44_100
LONGEST = 44
NUMBERS = (*range(87), *range(100, 107))
GROOVES = Path("/usr/share/mma/lib/stdlib")
FONTS = ("sf2/FluidR3_GM.sf2", "sf2/TimGM6mb.sf2", "sf3/MuseScore_General.sf3")
PROGRESSIONS = (
    "C Am F G", "Am F C G", "Dm7 G7 CM7 A7", "Em C G D", "A7 D7 A7 E7", "F#m D A E", "Bb Gm Eb F",
    "C F C G7", "Em D C B7", "Gm7 C7 FM7 BbM7", "D Bm G A", "Cm Ab Eb Bb", "E A B7 E", "Bm G D A",
)  # fmt: skip
PARTS = ("drums", "bass", "other")
BASSES = range(32, 40)
"""General MIDI programs of basses, counted from 0."""
DRUMS = 9
"""The MIDI channel of drums, counted from 0."""
FEWEST = 16
"""Notes of the emptiest part."""

Signal = NDArray[np.float32]


def main() -> None:
    """Write every song as ``NAME/drums.flac``, ``bass.flac`` and ``other.flac``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    grooves = sorted(set(names()))
    for number in NUMBERS:
        rng = random.Random(number)  # noqa: S311 - no secret
        groove = grooves[rng.randrange(len(grooves))]
        folder = given.out / f"{number:03d}_{re.sub('[^A-Za-z0-9]+', '', groove).lower()}"
        with tempfile.TemporaryDirectory() as scratch:
            made = play(groove, number, rng, Path(scratch))
        if set(made) != set(PARTS):
            print(f"{folder.name}: only {', '.join(made) or 'silence'}")
            continue
        samples = min(map(len, made.values()))
        whole = np.sum([part[:samples] for part in made.values()], axis=0)
        peak = max(np.abs(whole).max(), *(np.abs(part).max() for part in made.values()))
        folder.mkdir(parents=True, exist_ok=True)
        for name, part in made.items():
            soundfile.write(folder / f"{name}.flac", part[:samples] * (0.9 / peak), RATE)


def names() -> Iterator[str]:
    """Yield the grooves of MMA that are not introductions, fills or ends."""
    for file in GROOVES.glob("*.mma"):
        text = file.read_text(errors="replace")
        for found in re.finditer(r"^\s*DefGroove\s+(\S+)", text, re.MULTILINE | re.IGNORECASE):
            if not re.search(r"intro|end|fill|tag|^metronome", found[1], re.IGNORECASE):
                yield found[1]


def play(groove: str, seed: int, rng: random.Random, scratch: Path) -> dict[str, Signal]:
    """Return the parts of one song, each ``(samples,)``."""
    tempo = rng.choice(range(76, 165, 4))
    first, then = rng.choice(PROGRESSIONS).split(), rng.choice(PROGRESSIONS).split()
    bars = [f"{bar + 1} {(first if bar % 8 < 4 else then)[bar % 4]}" for bar in range(32)]
    text = [f"Tempo {tempo}", f"Groove {groove}", f"RndSeed {seed}", *bars]
    (scratch / "song.mma").write_text("\n".join(text) + "\n")
    command = ["mma", "-f", scratch / "song.mid", scratch / "song.mma"]
    subprocess.run(command, capture_output=True, check=False)
    if not (scratch / "song.mid").exists():
        return {}
    import mido

    song = mido.MidiFile(scratch / "song.mid")
    font, bass = rng.choice(FONTS), rng.choice(BASSES)
    made = {}
    for part in PARTS:
        midi = part_of(song, part, bass, rng)
        if notes(midi) < FEWEST:
            continue
        midi.save(scratch / f"{part}.mid")
        reverb = "1" if part != "bass" and rng.random() < 0.6 else "0"
        made[part] = render(scratch / f"{part}.mid", font, reverb)
    return made


def part_of(song: mido.MidiFile, part: str, bass: int, rng: random.Random) -> mido.MidiFile:
    """Return the notes of one part, more than half of the basses played by ``bass``."""
    import mido

    programs: dict[int, int] = {}
    for message in (message for track in song.tracks for message in track):
        if message.type == "program_change":
            programs.setdefault(message.channel, message.program)
    midi = mido.MidiFile(type=1, ticks_per_beat=song.ticks_per_beat)
    for track in song.tracks:
        midi.tracks.append(mido.MidiTrack())
        ticks = 0
        for message in track:
            ticks += message.time
            if not (message.is_meta or part == part_of_channel(message, programs)):
                continue
            kept, ticks = message.copy(time=ticks), 0
            if kept.type == "program_change" and part == "bass" and rng.random() < 0.6:
                kept.program = bass
            midi.tracks[-1].append(kept)
    return midi


def part_of_channel(message: mido.Message, programs: Mapping[int, int]) -> str | None:
    """Return the part that a message of a channel belongs to."""
    channel = getattr(message, "channel", None)
    if channel is None:
        return None
    if channel == DRUMS:
        return "drums"
    return "bass" if programs.get(channel, 0) in BASSES else "other"


def notes(midi: mido.MidiFile) -> int:
    """Return the number of notes."""
    messages = (message for track in midi.tracks for message in track)
    return sum(message.type == "note_on" and message.velocity > 0 for message in messages)


def render(midi: Path, font: str, reverb: str) -> Signal:
    """Return the mean of both channels, at most `LONGEST` seconds."""
    out = midi.with_suffix(".wav")
    command = [
        "fluidsynth", "-ni", "-q", "-F", out, "-r", str(RATE), "-g", "0.6", "-R", reverb, "-C", "0",
        f"/usr/share/sounds/{font}", midi,
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, check=True)
    samples, _ = soundfile.read(out, dtype="float32")
    mono: Signal = samples.mean(1)[: LONGEST * RATE]
    return mono


if __name__ == "__main__":
    main()
