"""What the checks of a metric find."""

from __future__ import annotations

import math
from dataclasses import dataclass

import fake_metrics
import numpy as np
import pytest
import torch
from scipy import linalg

from sepbench.metrics.bundled.levels import Level
from sepbench.metrics.bundled.signal_ratios import KSdr
from sepbench.metrics.embedding import EmbeddingDistance, frechet_distance
from sepbench.metrics.metric import Golden, option
from sepbench.testing.check import FAILED, NOT_SEEN, NOTE, PASSED
from sepbench.testing.examination import METRIC_CHECKS, Examination, find
from sepbench.testing.metric import MetricSubject


def outcomes(kind, **values):
    subject = MetricSubject(kind, values=values)
    found = Examination(lambda check: check.run(lambda: subject), METRIC_CHECKS)
    return {outcome.check: outcome for outcome in found}


@pytest.mark.slow
@pytest.mark.parametrize("metric", [KSdr, Level, fake_metrics.Peak])
def test_a_sound_metric_passes(metric):
    statuses = {outcome.status for outcome in outcomes(metric).values()}
    assert statuses <= {PASSED, NOTE}


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (fake_metrics.Raises, "ValueError: no luck today"),
        (fake_metrics.WrongShape, "not a tensor of shape (2,)"),
        (fake_metrics.Nan, "NaN for every stem"),
    ],
)
def test_what_cannot_be_scored_is_found_and_ends_the_checks(metric, reason):
    found = outcomes(metric)
    assert found["scores"].status == FAILED
    assert reason in found["scores"].got
    assert found["direction"].status == NOT_SEEN


class Backwards(fake_metrics.Peak):
    higher_is_better = True


class Scribbles(fake_metrics.Peak):
    def score(self, reference, estimate, mixture, rate):
        estimate *= 0.5
        return super().score(reference, estimate, mixture, rate)


class Wrong(fake_metrics.Peak):
    golden = (Golden("a program 1.0", {"vocals peak": 3.0}),)


@pytest.mark.parametrize(
    ("metric", "check", "got"),
    [
        (Backwards, "direction", "goodness rises"),
        (Scribbles, "same-again", "scores the second time"),
        (Wrong, "golden-values", "by a program 1.0 3"),
        (fake_metrics.Nameless, "contract", "neither totals nor frames"),
    ],
)
def test_each_fault_is_reported(metric, check, got):
    outcome = outcomes(metric)[check]
    assert outcome.status == FAILED
    assert got in outcome.got


def test_a_metric_is_found_by_name_and_by_place():
    assert find("k-sdr").kind == "metric"
    assert find("fake_metrics:Peak", kind="metric").checks is METRIC_CHECKS


class Blocks(EmbeddingDistance):
    """Levels of ten blocks as an embedding of one or more dimensions."""

    name = "blocks"
    summary = "For tests."
    source = "Nobody"

    @dataclass(frozen=True)
    class Options:
        dimensions: int = option(2, "of the embedding", minimum=1, maximum=4)

    def embed(self, signal, rate):
        levels = signal.mean(0)[: signal.shape[1] // 10 * 10].reshape(10, -1)
        return levels[:, : 50 * self.options.dimensions : 50] * 10


def test_embeddings_have_two_distances():
    found = outcomes(Blocks, dimensions=3)
    assert found["scores"].status == PASSED, found["scores"]
    assert "vocals MSE" in found["scores"].got


def test_the_frechet_distance_has_its_closed_form():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(50, 3, generator=generator).double()
    b = 1 + 2 * torch.randn(40, 3, generator=generator).double()
    first, second = (np.cov(x.numpy().T) for x in (a, b))
    root = linalg.sqrtm(first @ second).real
    expected = float((a.mean(0) - b.mean(0)).square().sum()) + np.trace(first + second - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert math.isnan(frechet_distance(a[:1], b))
