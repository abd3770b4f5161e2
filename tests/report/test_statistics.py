from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from sepbench.report import statistics

NAN = float("nan")


def test_the_p_value_is_that_of_all_signs_counted_out() -> None:
    x = np.random.default_rng(3).normal(0.6, 1.0, size=9)
    ranks = abs(x).argsort().argsort() + 1
    ours = ranks[x > 0].sum()
    sums = np.array([ranks[list(signs)].sum() for signs in product([False, True], repeat=9)])
    extreme = min((sums >= ours).mean(), (sums <= ours).mean())
    assert statistics.wilcoxon(x) == pytest.approx(min(1.0, 2 * extreme))


def test_few_tracks_have_no_p_value_and_equal_ones_a_certain_one() -> None:
    assert math.isnan(statistics.wilcoxon([1.0] * 5))
    assert "6 or more" in statistics.too_few(5)
    assert statistics.wilcoxon([0.0] * 6) == 1.0
    assert statistics.wilcoxon([1.0, 2, 3, 4, 5, 6]) == pytest.approx(2.0**-5)


def test_holm_leaves_no_p_value_smaller_and_keeps_what_is_missing() -> None:
    corrected = statistics.holm([0.01, NAN, 0.2, 0.5])
    assert corrected[0] == pytest.approx(0.03)
    assert math.isnan(corrected[1])
    assert corrected[2:] == [0.4, 0.5]


def test_bayesian_odds_know_better_equal_and_undecided() -> None:
    random = np.random.default_rng(4)
    assert statistics.bayesian_signed_rank(random.normal(2, 0.5, 30), 0.1).better > 0.99
    assert statistics.bayesian_signed_rank(random.normal(-2, 0.5, 30), 0.1).worse > 0.99
    assert statistics.bayesian_signed_rank(random.normal(0, 0.02, 30), 0.1).equal > 0.99
    x = random.normal(0, 1, 15)
    both = statistics.bayesian_signed_rank(np.concatenate([x, -x]), 0.1)
    assert both.worse == pytest.approx(both.better, abs=0.05)
    assert sum(both) == pytest.approx(1)
    assert all(map(math.isnan, statistics.bayesian_signed_rank([1.0] * 5, 0.1)))
