"""Score learned separators by SDR on stereo songs, mixed from songs with single instruments.

    python benchmarks/stereo_placement.py CORPUS -m unet -m 'unet[wiener=0]' [--split valid]
    python benchmarks/stereo_placement.py CORPUS -m unet --split valid --source medleydb \
        --source everythingisremixed

The 30 s of each song in which the voice is loudest are placed in three ways, at 44.1 kHz:
``narrow`` (all near the middle, in small rooms), ``panned`` (drums and others to the sides) and
``wide`` (the others doubled, one to each side). The voice is in the middle of a room, as loud as in
``benchmarks/learned.py``. Each way gives a row for each method and stem: the mean over songs of the
SDR of the whole passage.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from learned import clips, loaded, score
from scipy import signal

from sepbench.inference.overlap_add import Samples
from sepbench.training.data.discover import find_tracks

RATE = 44_100
SECONDS = 30


def main() -> None:
    """Score every method on every way of placing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-m", "--method", action="append", required=True)
    parser.add_argument("--source", action="append", help="medleydb if not given.")
    parser.add_argument("--split", action="append", help="train and valid if not given.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    separators = loaded(given.method)
    scores: dict[tuple[str, str, str], list[float]] = {}
    for track in find_tracks(given.corpus):
        if track.source not in (given.source or ["medleydb"]):
            continue
        if track.split not in (given.split or ("train", "valid")):
            continue
        for dry in clips(track, RATE):
            first = loudest(dry["vocals"][0])
            passage = {name: stem[0, first : first + SECONDS * RATE] for name, stem in dry.items()}
            # A song may lack some of the instruments.
            silence = np.zeros_like(passage["vocals"])
            passage = dict.fromkeys(("drums", "bass", "other"), silence) | passage
            for way, place in WAYS.items():
                for label, values in score(place(passage), separators, RATE).items():
                    for stem, value in values.items():
                        scores.setdefault((way, stem, label), []).append(value)
    for (way, stem, label), values in scores.items():
        print(f"{way:7} {stem:13} {label:24} mean {np.mean(values):6.2f} dB  {len(values)} songs")


def loudest(voice: Samples) -> int:
    """Return the first sample of the loudest passage."""
    energy = np.cumsum(np.pad(voice.astype(np.float64) ** 2, (1, 0)))
    starts = np.arange(0, max(1, len(voice) - SECONDS * RATE), RATE)
    ends = np.minimum(starts + SECONDS * RATE, len(voice))
    return int(starts[np.argmax(energy[ends] - energy[starts])])


def narrow(dry: dict[str, Samples]) -> dict[str, Samples]:
    """Place all stems near the middle."""
    return {
        "vocals": pan(dry["vocals"], 0) + room(dry["vocals"], 1, seconds=1.2, level=-14),
        "drums": pan(dry["drums"], 0) + room(dry["drums"], 2, seconds=0.5, level=-8),
        "bass": pan(dry["bass"], 0),
        "other": pan(dry["other"], 0.2) + room(dry["other"], 3, seconds=0.8, level=-10),
    }


def panned(dry: dict[str, Samples]) -> dict[str, Samples]:
    """Place drums and others beside the voice."""
    return narrow(dry) | {
        "vocals": pan(dry["vocals"], 0) + room(dry["vocals"], 1, seconds=1.2, level=-10),
        "drums": pan(dry["drums"], -0.15) + room(dry["drums"], 2, seconds=0.5, level=-8),
        "other": pan(dry["other"], 0.6) + room(dry["other"], 3, seconds=0.8, level=-10),
    }


def wide(dry: dict[str, Samples]) -> dict[str, Samples]:
    """Double the others, one to each side."""
    other = dry["other"]
    time = np.arange(len(other))
    delay = RATE * (0.018 + 0.004 * np.sin(2 * np.pi * 0.35 * time / RATE))
    double = np.interp(time - delay, time, other).astype(np.float32)
    sides = np.stack([other, double]) + np.float32(0.3) * pan(other, 0)
    return panned(dry) | {
        "drums": narrow(dry)["drums"],
        "other": sides + room(other, 3, seconds=0.8, level=-10),
    }


WAYS: dict[str, Callable[[dict[str, Samples]], dict[str, Samples]]] = {
    "narrow": narrow,
    "panned": panned,
    "wide": wide,
}


def pan(dry: Samples, place: float) -> Samples:
    """Pan a stem between left (-1) and right (1) at constant power."""
    angle = (place + 1) * np.pi / 4
    gains = np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]])
    return (gains * dry).astype(np.float32)


def room(dry: Samples, seed: int, *, seconds: float, level: float) -> Samples:
    """Return the reverberation, ``level`` dB above the stem; it decays 60 dB in ``seconds``."""
    time = np.arange(int(1.2 * seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal((2, len(time)))
    band = signal.butter(1, (200, 5000), "bandpass", fs=RATE)
    tail = signal.lfilter(*band, noise * np.exp(-6.9 * time / seconds))
    tail *= 10 ** (level / 20) / np.sqrt(np.sum(tail**2, axis=1, keepdims=True))
    tail = np.pad(tail, ((0, 0), (int(0.015 * RATE), 0)))
    return signal.fftconvolve(dry[None], tail, axes=1)[:, : len(dry)].astype(np.float32)


if __name__ == "__main__":
    main()
