from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from sepbench.report.intervals import interval, pooled_interval
from sepbench.report.resampling import pooled_medians, resamples

NAN = float("nan")


def draws(n: int, trials: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).laplace(size=(trials, n))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "n"),
    [*(("median", n) for n in (6, 7, 8, 10, 50)), ("mean", 6), ("mean", 15), ("mean", 50)],
)
def test_an_interval_holds_the_truth_as_often_as_it_says(how, n) -> None:
    held = [low <= 0 <= high for low, high in (interval(x, how) for x in draws(n, 1500))]
    # Two standard errors of 1000 trials are 1.4 %; benchmarks/intervals.py has more of them.
    assert 0.93 - 0.014 <= np.mean(held) <= 0.97 + 0.014


@pytest.mark.slow
def test_a_skewed_law_s_mean_is_held_as_often_with_few_tracks() -> None:
    scores = -np.random.default_rng(0).gamma(4, size=(1500, 6))
    held = [low <= -4 <= high for low, high in (interval(x, "mean") for x in scores)]
    assert 0.93 - 0.014 <= np.mean(held) <= 0.97 + 0.014


def test_an_interval_is_of_exactly_the_printed_statistic() -> None:
    x = draws(9, 1)[0]
    random = np.random.default_rng(1)
    plain = np.array([random.choice(x, 9) for _ in range(10_000)])
    means, spreads = plain.mean(1), plain.std(1)
    stretched = (np.quantile(means, [0.025, 0.975]) - x.mean()) * 2.306 / 1.96 * math.sqrt(9 / 8)
    ratios = (means - x.mean())[spreads > 0] / spreads[spreads > 0]
    studentized = -np.quantile(ratios, [0.975, 0.025]) * x.std()
    low, high = np.array(interval(x, "mean")) - x.mean()
    width = high - low
    assert low == pytest.approx(min(stretched[0], studentized[0]), abs=0.05 * width)
    assert high == pytest.approx(max(stretched[1], studentized[1]), abs=0.05 * width)


def test_a_median_s_interval_is_exact_where_no_interpolation_is_needed() -> None:
    x = np.sort(draws(11, 1)[0])
    # Of 11 scores, as many of which are above the median as heads in 11 throws of a coin.
    for rank in (1, 2, 3):
        heads = sum(math.comb(11, k) for k in range(rank)) / 2**11
        low, high = interval(x, "median", confidence=1 - 2 * heads)
        assert (low, high) == pytest.approx((x[rank - 1], x[-rank]))


def test_a_median_s_interval_is_interpolated_as_published() -> None:
    # Hettmansperger and Sheather 1986: (n - d) I / (d + (n - 2 d) I) of the way, with n = 10, d = 2
    # and I = (0.978516 - 0.95) / (0.978516 - 0.890625).
    part = (0.978515625 - 0.95) / (0.978515625 - 0.890625)
    share = 8 * part / (2 + 6 * part)
    low, high = interval(range(10), "median")
    assert (low, high) == pytest.approx((1 + share, 8 - share))
    assert interval([-x for x in range(10)], "median") == pytest.approx((-high, -low))


def test_a_median_of_few_tracks_is_between_the_lowest_and_the_highest() -> None:
    for n in range(2, 6):
        assert interval(range(n), "median") == (0, n - 1)
    assert interval(range(6), "median", confidence=0.999) == (0, 5)
    assert interval([3.0] * 9, "median") == (3.0, 3.0)


def test_the_mean_of_equal_scores_is_sure_and_of_ties_has_an_interval() -> None:
    assert interval([2.5] * 8, "mean") == (2.5, 2.5)
    low, high = interval([1.0] * 7 + [2.0], "mean")
    assert low < 1.125 < high


def test_two_tracks_say_little_about_a_mean() -> None:
    low, high = interval([1.0, 3.0], "mean")
    assert high - low > 9 * (3.0 - 1.0)


def test_the_pooled_interval_draws_whole_tracks() -> None:
    random = np.random.default_rng(2)
    tracks = [list(random.normal(level, 0.1, size=30 + 5 * n)) for n, level in enumerate([0, 1, 5])]
    found = pooled_interval(tracks)
    medians = [
        np.median(np.concatenate([tracks[i] for i in chosen]))
        for chosen in product(range(3), repeat=3)
    ]
    # Three tracks have only 27 draws, so the ends are the lowest and the highest of their medians.
    assert found == pytest.approx((min(medians), max(medians)))
    # Had windows been drawn, the interval would be as narrow as 105 independent scores make it.
    assert found.high - found.low > 4


def test_intervals_pass_by_missing_scores_and_need_two_tracks() -> None:
    x = list(draws(8, 1)[0])
    assert interval([*x, NAN, math.inf], "mean") == interval(x, "mean")
    assert all(map(math.isnan, interval([1.0, NAN], "median")))


@pytest.mark.parametrize("lengths", [(1, 1), (3, 7, 5), (40, 1, 25, 30), (20,) * 30])
def test_the_medians_of_all_draws_are_those_of_their_windows(lengths) -> None:
    owner = np.repeat(np.arange(len(lengths)), lengths)
    pool = np.random.default_rng(0).normal(size=len(owner)).round(1)
    order = np.argsort(pool, kind="stable")
    pool, owner = pool[order], owner[order]
    drawn = resamples(len(lengths)).astype(int)[:, owner].cumsum(axis=1)
    total = drawn[:, -1:]
    middles = [(drawn < (total + more) // 2).sum(axis=1) for more in (1, 2)]
    medians = (pool[middles[0]] + pool[middles[1]]) / 2
    levels = [0.0, 0.025, 0.5, 0.975, 1.0]
    assert pooled_medians(pool, owner, levels) == pytest.approx(np.quantile(medians, levels), 1e-12)
