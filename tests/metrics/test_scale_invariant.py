from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sepbench.metrics import scale_invariant
from sepbench.metrics.scale_invariant import NAMES

from .signals import estimates, stems


def by_formula(references, estimate, stem):
    """The scores of one channel, ``(stems, samples)``, written out with signals."""
    references = references - references.mean(1, keepdims=True)
    s, e = references[stem], estimate - estimate.mean()
    a = (e @ s) / (s @ s)
    residual = e - a * s
    weights = np.linalg.lstsq(references.T, residual, rcond=None)[0]
    interference = weights @ references
    artefacts = residual - interference
    snr = (s @ s) / ((e - s) @ (e - s))
    target = a**2 * (s @ s)
    ratios = {
        "SI-SDR": target / (residual @ residual),
        "SI-SIR": target / (interference @ interference),
        "SI-SAR": target / (artefacts @ artefacts),
        "SD-SDR": snr * a**2,
        "SNR": snr,
        "SRR": 1 / (1 - 1 / a) ** 2,
    }
    return [10 * math.log10(ratios[name]) for name in NAMES]


def test_scores_equal_their_formulas(monkeypatch):
    monkeypatch.setattr(scale_invariant, "_BLOCK", 300)
    references = stems(3, 2, 1000, seed=1) + 0.02
    made = 0.7 * estimates(references, seed=1)
    found = scale_invariant.scores(references.unbind(), made.unbind())
    for stem, scores in enumerate(found):
        expected = np.median(
            [
                by_formula(references[:, k].double().numpy(), made[stem, k].double().numpy(), stem)
                for k in range(2)
            ],
            axis=0,
        )
        assert list(scores.values()) == pytest.approx(list(expected), abs=1e-9)


def test_level_and_offset_matter_only_to_the_scores_that_hear_them():
    references = stems(2, 1, 1000, seed=2)
    made = estimates(references, seed=2)
    plain, changed = (
        scale_invariant.scores(references.unbind(), signals.unbind())[0]
        for signals in (made.double(), 0.2 * made.double() + 0.5)
    )
    for name in ("SI-SDR", "SI-SIR", "SI-SAR"):
        assert changed[name] == pytest.approx(plain[name], abs=1e-6)
    for name in ("SD-SDR", "SNR"):
        assert changed[name] < plain[name] - 3


def test_silence_and_solitude_have_no_scores():
    references = stems(2, 2, 400, seed=3)
    made = estimates(references, seed=3)
    references[1] = 0
    kept, silent = scale_invariant.scores(references.unbind(), made.unbind())
    assert all(map(math.isnan, silent.values()))
    assert all(map(math.isfinite, kept.values()))
    (alone,) = scale_invariant.scores([references[0]], [made[0]])
    assert math.isnan(alone["SI-SIR"])
    assert alone["SI-SDR"] == pytest.approx(kept["SI-SDR"], abs=1e-9)


def test_identical_references_share_the_blame():
    references = stems(3, 1, 1000, seed=4)
    references[2] = references[1]
    made = estimates(references, seed=4)
    three = scale_invariant.scores(references.unbind(), made.unbind())[0]
    two = scale_invariant.scores(references[:2].unbind(), made[:2].unbind())[0]
    assert three == pytest.approx(two, abs=1e-6)
    assert torch.isfinite(torch.tensor(list(three.values()))).all()
