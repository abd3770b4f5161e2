"""Generate songs of drums alone, to train with: random patterns on the drum kits of Hydrogen.

    apt-get download hydrogen-drumkits && dpkg -x hydrogen-drumkits_*.deb kits
    python benchmarks/drumkits.py kits/usr/share/hydrogen/data/drumkits --out corpus/drumkits

Writes twelve songs of 40 s for each kit, always the same ones. Kits are GPL-2, GPL-2+ or
CC-BY-SA-3.0.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

RATE = 44_100
SECONDS = 40
SONGS = 12
KITS = (
    "BJA_Pacific", "ColomboAcousticDrumkit", "ForzeeStereo", "Millo-Drums_v.1",
    "Millo_MultiLayered2", "Millo_MultiLayered3", "The Black Pearl 1.0", "VariBreaks",
    "ElectricEmpireKit",
)  # fmt: skip
DRUMS = {
    "kick": r"^(bd|kick|bassdrum|pearlkick|vp kick|ee_kick)",
    "snare": r"^(sn|snare|sd_|jsnare|rsnare|pearlsnare|vp snare|ee_snare|rs_|sr_)",
    "open": r"hihatopen|hihat-open|openhat|hhopen|ho_|sabianhatopen|hat_op|1 op|semi-?open|hh2_",
    "hat": r"^(hh_|hh3_|hihat|closehihat|hhclosed|hhpedal|pedalhihat|sabianhat|vp hat|ee_hat|hh)",
    "crash": r"(crash[^r]|cc_|^cra|splash|china|cb_|bl_)",
    "ride": r"(ride|^rd|^rc)",
    "tom": r"(tom|^tm|^t1|^t2|^ft|ee_drum|vp drum)",
}
"""What a sample's file is called in one kit or another; the first that fits counts."""
LEVELS = {
    "kick": 1.0, "snare": 1.0, "open": 0.45, "hat": 0.4, "crash": 0.6, "ride": 0.45, "tom": 0.8,
}  # fmt: skip

Signal = NDArray[np.float32]
Kit = Mapping[str, list[Signal]]


def main() -> None:
    """Write every song as ``NAME/drums.flac``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kits", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for number, name in enumerate(KITS):
        kit = read_kit(given.kits / name)
        for song in range(SONGS):
            rng = np.random.Generator(np.random.Philox(key=[number, song]))
            folder = given.out / f"{number}{song:02d}_{re.sub('[^A-Za-z0-9]+', '', name)}"
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / "drums.flac", Drummer(kit, rng).play(), RATE)


def read_kit(folder: Path) -> Kit:
    """Return the samples of a kit by drum: mono, at most 4 s long, with a peak of 1."""
    kit: dict[str, list[Signal]] = {}
    for file in sorted(folder.iterdir()):
        drum = next((d for d, names in DRUMS.items() if re.search(names, file.name.lower())), None)
        if drum is None or file.suffix.lower() not in (".wav", ".flac", ".aiff"):
            continue
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        mono = soxr.resample(samples.mean(1), rate, RATE)
        if np.abs(mono).max() > 1e-3:
            kit.setdefault(drum, []).append(mono[: 4 * RATE] / np.abs(mono).max())
    return kit


class Drummer:
    """Plays one song on a kit: three alternating patterns with fills, rests and crashes."""

    def __init__(self, kit: Kit, rng: Generator) -> None:
        self.kit, self.rng = kit, rng
        self.song: Signal = np.zeros((SECONDS + 5) * RATE, np.float32)
        self.beat = 60 / rng.uniform(65, 190)
        self.swing = rng.choice([0, 0, 0, rng.uniform(0.1, 0.33)])
        self.steps = 16 if rng.random() < 0.8 else 12
        self.gains = {
            drum: 10 ** (rng.uniform(-9, 0) / 20) * level for drum, level in LEVELS.items()
        }
        # Which of a drum's samples is the usual one.
        self.usual = {drum: rng.uniform(0, max(0, len(kit.get(drum, [0])) - 1)) for drum in LEVELS}
        self.patterns = [self._pattern() for _ in range(3)]
        self.start = rng.uniform(0, 0.5)
        self.liveliness = rng.uniform(0.3, 1)

    def play(self) -> Signal:
        """Return the song with a peak of 0.5."""
        rng, bar, time, current = self.rng, 0, self.start, 0
        while time < SECONDS:
            if bar % 4 == 0 and rng.random() < 0.4:
                current = int(rng.integers(3))
            fills = bar % 4 == 3 and rng.random() < 0.4
            if rng.random() >= 0.03:
                if (bar % 8 == 0 and rng.random() < 0.6) or rng.random() < 0.06:
                    self._hit("crash", time, rng.uniform(0.6, 1))
                self._bar(self.patterns[current], time, fills)
            time += 4 * self.beat
            bar += 1
        song = self.song[: SECONDS * RATE]
        return 0.5 * song / (np.abs(song).max() + 1e-9)

    def _pattern(self) -> tuple[Signal, Signal, Signal, str]:
        """Return the level of kick, snare and cymbal at each step, and which cymbal it is."""
        rng, steps, quarter = self.rng, self.steps, self.steps // 4
        kick = (rng.random(steps) < 0.15).astype(np.float32)
        kick[0] = 1
        if rng.random() < 0.35:
            kick[::quarter] = 1
        elif rng.random() < 0.7:
            kick[2 * quarter] = rng.random() < 0.7
        snare = np.zeros(steps, np.float32)
        if rng.random() < 0.85:
            snare[[quarter, 3 * quarter]] = 1
        elif rng.random() < 0.5:
            snare[2 * quarter] = 1
        snare += (rng.random(steps) < 0.06) * rng.uniform(0.2, 0.5)
        cymbal = np.zeros(steps, np.float32)
        cymbal[:: rng.choice([1, 2, 2, 2, 4])] = 1
        cymbal *= rng.random(steps) < 0.97
        lead = rng.choice(["hat", "ride", "open", "crash"], p=[0.6, 0.25, 0.1, 0.05])
        return kick, snare, cymbal, str(lead)

    def _bar(self, pattern: tuple[Signal, Signal, Signal, str], time: float, fills: bool) -> None:
        rng = self.rng
        kick, snare, cymbal, lead = pattern
        length = 4 * self.beat / self.steps
        for step in range(self.steps):
            at = time + step * length + (self.swing * length if step % 2 else 0)
            in_fill = fills and step >= self.steps // 2
            if kick[step] > 0:
                self._hit("kick", at, self._accent(step) * kick[step])
            if in_fill and rng.random() < 0.8:
                self._hit(str(rng.choice(["tom", "snare"])), at, rng.uniform(0.5, 1))
            elif not in_fill and snare[step] > 0:
                self._hit("snare", at, min(1, self._accent(step) * snare[step]))
            if cymbal[step] > 0 and not in_fill:
                drum = lead if rng.random() < 0.93 else "open"
                self._hit(drum, at, self._accent(step))

    def _accent(self, step: int) -> float:
        strong = 1 if step % 4 == 0 else 0.75
        return float(strong * self.rng.uniform(1 - 0.4 * self.liveliness, 1))

    def _hit(self, drum: str, time: float, strength: float) -> None:
        samples = self.kit.get(drum)
        if not samples:
            return
        which = int(np.clip(self.rng.normal(self.usual[drum], 0.6), 0, len(samples) - 1))
        begin = int((time + self.rng.normal(0, 0.004)) * RATE)
        if 0 <= begin < SECONDS * RATE:
            hit = samples[which] * np.float32(self.gains[drum] * strength)
            self.song[begin : begin + len(hit)] += hit


if __name__ == "__main__":
    main()
