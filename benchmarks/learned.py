"""Score learned separators by SDR, stem by stem, on the test songs of a training corpus.

    python benchmarks/learned.py CORPUS -m unet -m mask-cnn [--source medleydb] [--json FILE]

Each source that has songs of split ``test`` (or ``--split``) gives a row for each method and stem
of its songs: median and mean over clips of the SDR of the whole clip, as ``mdx`` defines it, and
those of the mixture itself. MIR-1K's voice and backing are mixed at 0 dB as recorded. In songs with
single instruments the voice is set to -3 dB relative to the sum of the others, both measured where
they sound. ``--equal`` brings all stems to the same RMS instead.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from sepbench import registry
from sepbench.inference import runner
from sepbench.inference.overlap_add import Samples
from sepbench.metrics.sdr import Windows, measure, usdr
from sepbench.separator import AnySeparator
from sepbench.stems import STEMS, with_sums
from sepbench.training.augment import active_rms, rms
from sepbench.training.data.discover import find_tracks
from sepbench.training.data.recording import Recording

RATE = 16_000


def main() -> None:
    """Score every method on every source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-m", "--method", action="append", required=True)
    parser.add_argument("--rate", type=int, default=RATE, help="Hz at which songs are read.")
    parser.add_argument("--source", action="append", help="Only songs of this source.")
    parser.add_argument("--split", default="test", help="Songs of this split.")
    parser.add_argument("--every", type=int, default=1, help="Only one track in so many.")
    parser.add_argument("--equal", action="store_true", help="Single instruments equally loud.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="Write the score of every clip here.")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    separators = loaded(given.method)
    scores: dict[str, dict[str, dict[str, list[float]]]] = {}
    tracks = [
        track
        for track in find_tracks(given.corpus)
        if track.split == given.split and (not given.source or track.source in given.source)
    ]
    for track in tracks[:: given.every]:
        for references in clips(track, given.rate, equal=given.equal):
            rows = scores.setdefault(track.source, {})
            for label, values in score(references, separators, given.rate).items():
                for stem, value in values.items():
                    rows.setdefault(label, {}).setdefault(stem, []).append(value)
    for source, rows in scores.items():
        for label, by_stem in rows.items():
            for stem, values in by_stem.items():
                print(
                    f"{source:10} {label:20} {stem:13} median {np.median(values):6.2f} dB  "
                    f"mean {np.mean(values):6.2f} dB  {len(values)} clips"
                )
    if given.json:
        given.json.write_text(json.dumps(scores, indent=1))


def loaded(specs: Sequence[str]) -> dict[str, AnySeparator]:
    """Return separators by label, with their weights on the CPU."""
    separators = {method.label: method.create() for method in registry.resolve_all(specs)}
    for separator in separators.values():
        runner.load(separator, torch.device("cpu"))
    return separators


def score(
    references: Mapping[str, Samples], separators: Mapping[str, AnySeparator], rate: int
) -> dict[str, dict[str, float]]:
    """Return the SDR of each stem by method, and that of the mixture for the same stems."""
    mixture = np.sum(list(references.values()), axis=0)
    truth = with_sums(references)
    scores: dict[str, dict[str, float]] = {"mixture": {}}
    for label, separator in separators.items():
        made = runner.separate(
            separator, mixture, rate=rate, device=torch.device("cpu"), references=references
        )
        stems = with_sums(made.stems)
        known = [name for name in STEMS if name in stems and name in truth]
        scores[label] = {name: sdr(truth[name], stems[name]) for name in known}
        scores["mixture"] |= {name: sdr(truth[name], mixture) for name in known}
    return scores


def clips(track: Recording, rate: int, *, equal: bool = False) -> Iterator[dict[str, Samples]]:
    """Yield the stems of each clip, ``(1, samples)``."""
    parts = track.decode(rate)
    for number in range(len(parts.get("vocals", []))):
        stems = {name: clips[number][None] for name, clips in parts.items()}
        if equal and "accompaniment" not in parts:
            stems = {name: stem * np.float32(0.1 / rms(stem[0])) for name, stem in stems.items()}
        elif "accompaniment" not in parts:
            backing = np.sum([stem for name, stem in stems.items() if name != "vocals"], axis=0)
            level = active_rms(backing[0]) / active_rms(stems["vocals"][0])
            stems["vocals"] = stems["vocals"] * np.float32(10 ** (-3 / 20) * level)
        yield stems


def sdr(reference: Samples, estimate: Samples) -> float:
    """Return the SDR of a whole clip in dB."""
    true, made = torch.from_numpy(reference), torch.from_numpy(estimate)
    windows = Windows.of_signal(true.shape[-1], RATE)
    return usdr(measure(true, made, windows))


if __name__ == "__main__":
    main()
