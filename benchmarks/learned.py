"""Vocals SDR of learned separators on the test songs of a training corpus.

    python benchmarks/learned.py CORPUS -m unet -m mask-cnn [--json FILE]

Each source with songs of split ``test`` gives a row a method: the median, over clips, of the SDR of
the whole clip (protocol ``mdx``), and that of the mixture itself. MIR-1K's voice and backing stand
at 0 dB as recorded; of songs with single instruments, which are raw tracks, the voice is set to
-3 dB over the sum of the others, both measured where they sound.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sepbench import host, registry
from sepbench.metrics import energy
from sepbench.training.material import Track, find_tracks
from sepbench.training.treatment import active_rms

RATE = 16_000


def main() -> None:
    """Score every method on every source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-m", "--method", action="append", required=True)
    parser.add_argument("--rate", type=int, default=RATE, help="Hz at which songs are read.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="Write the score of every clip here.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    methods = registry.resolve_all(given.method)
    scores: dict[str, dict[str, list[float]]] = {}
    separators = {method.label: method.create() for method in methods}
    for separator in separators.values():
        separator.load(torch.device("cpu"))
    tracks = [track for track in find_tracks(given.corpus) if track.split == "test"]
    for track in tracks:
        for voice, backing in clips(track, given.rate):
            mixture = voice + backing
            rows = scores.setdefault(track.source, {})
            rows.setdefault("mixture", []).append(sdr(voice, mixture))
            for label, separator in separators.items():
                made = host.separate(
                    separator, mixture, rate=given.rate, device=torch.device("cpu")
                ).stems["vocals"]
                rows.setdefault(label, []).append(sdr(voice, made))
    for source, rows in scores.items():
        for label, values in rows.items():
            print(
                f"{source:10} {label:20} median {np.median(values):6.2f} dB  "
                f"mean {np.mean(values):6.2f} dB  {len(values)} clips"
            )
    if given.json:
        given.json.write_text(json.dumps(scores, indent=1))


def clips(track: Track, rate: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Yield voice and backing of each clip, ``(1, samples)``."""
    parts = track.decode(rate)
    voices = parts.pop("vocals", [])
    for number, voice in enumerate(voices):
        backing = np.sum([clips[number] for clips in parts.values()], axis=0)
        if "accompaniment" not in parts:
            voice = voice * np.float32(10 ** (-3 / 20) * active_rms(backing) / active_rms(voice))
        yield voice[None], backing[None]


def sdr(reference: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """Return the SDR of a whole clip in dB."""
    true, made = torch.from_numpy(reference), torch.from_numpy(estimate)
    windows = energy.Windows.of_signal(true.shape[-1], RATE)
    return energy.usdr(energy.measure(true, made, windows))


if __name__ == "__main__":
    main()
