"""Score the voice detector on the songs of a training corpus that it was not trained on.

    python benchmarks/activity.py PREPARED

PREPARED is a folder of ``sepbench prepare``. The frames of 10 ms of all songs of a source are
pooled; the reference is the energy rule on the vocals. "alone" is the share of frames in which the
detector finds a voice in the backing alone. A source without test songs is scored on its validation
songs, and its row says so. In songs with single instruments the voice is mixed at -3 dB.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from sepbench.activity.detector import VoiceDetector
from sepbench.activity.reference import reference_activity
from sepbench.activity.scores import activity_scores
from sepbench.activity.segments import Decision, is_active
from sepbench.training.augment import active_rms
from sepbench.training.data.prepared import PreparedTrack, open_prepared


def main() -> None:
    """Score each source and print a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    dataset, detector = open_prepared(given.prepared), VoiceDetector(given.weights)
    sources = sorted({track.source for track in dataset.holding("vocals")})
    for source in sources:
        for split in ("test", "valid"):
            tracks = [t for t in dataset.split(split).holding("vocals") if t.source == source]
            found = [frames for t in tracks for frames in scored(t, detector, dataset.rate)]
            if not found:
                continue
            truth, probabilities, active, alone = (
                np.concatenate(part) for part in zip(*found, strict=True)
            )
            scores = activity_scores(truth, active, probabilities)
            print(
                f"{source:20} {split:5} F1 {scores.f1:.3f}  precision {scores.precision:.3f}  "
                f"recall {scores.recall:.3f}  AUC {scores.auc:.3f}  always: F1 "
                f"{2 * truth.mean() / (1 + truth.mean()):.3f}  alone: {alone.mean():.3f}  "
                f"{len(truth) / 6000:.1f} min"
            )
            break


def scored(
    track: PreparedTrack, detector: VoiceDetector, rate: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield reference, probability and decision of each clip, and the decision for its backing."""
    parts = {part: track.read(part, 0, track.samples) for part in track.parts}
    vocals = parts.pop("vocals")
    if not parts:
        return
    rest = np.sum(list(parts.values()), axis=0)
    if "accompaniment" not in parts:
        vocals = vocals * np.float32(10 ** (-3 / 20) * active_rms(rest) / active_rms(vocals))
    cuts = track.cuts if "accompaniment" in parts else (0, track.samples)
    for begin, end in itertools.pairwise(cuts):
        truth = reference_activity(torch.from_numpy(vocals[None, begin:end].copy()), rate).numpy()
        heard = detector.probabilities((vocals + rest)[None, begin:end], rate)
        alone = detector.probabilities(rest[None, begin:end], rate)
        yield truth, heard, *(is_active(found, Decision()) for found in (heard, alone))


if __name__ == "__main__":
    main()
