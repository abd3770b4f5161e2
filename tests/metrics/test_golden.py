from __future__ import annotations

import json

import golden
import numpy as np
import torch

from sepbench.metrics.scorer import TrackScorer
from sepbench.registry.metrics import resolve_metrics


def test_the_excerpt_gets_museval_s_scores() -> None:
    audio = golden.song()
    scorer = TrackScorer(
        {name: torch.from_numpy(audio.references[name]) for name in golden.STEMS},
        torch.from_numpy(audio.mixture),
        audio.rate,
        metrics=resolve_metrics(["bsseval"]),
    )
    made = {name: torch.from_numpy(stem) for name, stem in golden.estimates(audio).items()}
    scores = scorer.score(made, targets=golden.STEMS)
    for target in json.loads(golden.FILE.read_text())["targets"]:
        ours = scores[target["name"]].frames
        for metric in ("SDR", "ISR", "SIR", "SAR"):
            theirs = [frame["metrics"][metric] for frame in target["frames"]]
            # museval rounds to five decimals in its files.
            np.testing.assert_allclose(ours[metric], theirs, atol=1e-4)
