from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, roc_auc_score

from sepbench.activity.scores import activity_scores
from sepbench.activity.segments import Decision, Segment, gain, is_active, segments

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
probabilities = arrays(np.float32, st.integers(1, 200), elements=st.floats(0, 1, width=32))


@patient
@given(probabilities)
def test_segments_are_in_order_and_apart_and_cover_what_is_active(p: np.ndarray) -> None:
    found = segments(p)
    times = [time for segment in found for time in (segment.start, segment.end)]
    assert times == sorted(times)
    covered = np.zeros(len(p), bool)
    for segment in found:
        covered[round(segment.start * 100) : round(segment.end * 100)] = True
        assert 0 <= segment.confidence <= 1
    assert np.array_equal(covered, is_active(p, Decision()))


@patient
@given(probabilities, st.floats(0.1, 0.9))
def test_a_lower_threshold_never_closes_anything(p: np.ndarray, threshold: float) -> None:
    high = is_active(p, Decision(threshold=threshold, shortest=0))
    low = is_active(p, Decision(threshold=threshold / 2, shortest=0))
    assert not (high & ~low).any()


def test_the_gain_opens_before_a_segment_and_fades_outside_of_it() -> None:
    curve = gain([Segment(1.0, 2.0, 1.0)], 3000, 1000, before=0.1, after=0.2, fade=0.1)
    assert (curve[900:2201] == 1).all()
    assert curve[850] == pytest.approx(0.5, abs=1e-6)
    assert (np.diff(curve[800:900]) >= 0).all()
    assert curve[:801].max() == 0
    assert curve[2300:].max() == pytest.approx(0, abs=1e-6)
    assert np.abs(np.diff(curve)).max() < np.pi / 2 / 100 + 1e-6


def test_scores_equal_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(500) < 0.4
    p = np.clip(np.round(0.3 * truth + rng.random(500), 2), 0, 1).astype(np.float32)
    scores = activity_scores(truth, p > 0.6, p)
    assert scores.f1 == pytest.approx(f1_score(truth, p > 0.6))
    assert scores.auc == pytest.approx(roc_auc_score(truth, p))


def test_what_nothing_defines_is_no_number() -> None:
    scores = activity_scores(np.zeros(4, bool), np.zeros(4, bool), np.zeros(4, np.float32))
    assert np.isnan([scores.f1, scores.recall, scores.auc]).all()
