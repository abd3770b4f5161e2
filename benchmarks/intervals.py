"""Count how often intervals contain the true value, and how often the gate raises a false alarm.

Scores of tracks are drawn from distributions with known mean and median, and from the published
scores of SiSEC 2018, whose 50 tracks are then the population. Nominally, 95 % of the intervals
contain the true value, and the gate raises an alarm about equal methods in under 5 % of trials.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy import stats

from sepbench.report import published
from sepbench.report.intervals import CONFIDENCE, intervals
from sepbench.report.statistics import surely_below, tracks_needed

Draw = Callable[[int], np.ndarray]


def laws(random: np.random.Generator) -> dict[str, tuple[Draw, float, float]]:
    """Return functions that draw scores, with the true median and mean, by name."""
    campaign = published.campaign()
    vocals = campaign[campaign["stem"] == "vocals"].dropna(subset="SDR")
    scores = vocals[vocals["method"] == "TAU1"]["SDR"].to_numpy()
    return {
        "normal": (lambda n: random.normal(size=n), 0.0, 0.0),
        "Laplace": (lambda n: random.laplace(size=n), 0.0, 0.0),
        "t, 3 degrees": (lambda n: random.standard_t(3, size=n), 0.0, 0.0),
        "gamma, skewed": (
            lambda n: -random.gamma(4, size=n),
            -float(stats.gamma(4).median()),
            -4.0,
        ),
        # Noise removes the ties of drawing from 50 tracks; new songs would have none.
        "SiSEC18, vocals": (
            lambda n: random.choice(scores, n) + random.normal(0, 0.05, n),
            float(np.median(random.choice(scores, 10**6) + random.normal(0, 0.05, 10**6))),
            float(scores.mean()),
        ),
    }


def candidates(scores: np.ndarray) -> np.ndarray:
    """Return which tests ``(trials, tests, tracks)`` could be alarms: Wilcoxon's test must agree.

    It is quick for many at once; one after another they would take an hour.
    """
    share = (1 - CONFIDENCE) / scores.shape[1]
    p_values = stats.wilcoxon(scores, alternative="less", axis=-1).pvalue
    return np.asarray(p_values <= share)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=4000)
    trials = parser.parse_args().trials
    random = np.random.default_rng(0)
    print(f"intervals that hold the truth, per cent of {trials}; nominal 95")
    print(f"{'scores':18}{'tracks':>8}{'median':>8}{'mean':>8}")
    for name, (draw, median, mean) in laws(random).items():
        for n in (6, 7, 8, 10, 15, 20, 50, 100):
            samples = [draw(n) for _ in range(trials)]
            held = []
            for how, truth in (("median", median), ("mean", mean)):
                low, high = np.array(intervals(samples, how)).T
                held.append(100 * np.mean((low <= truth) & (truth <= high)))
            print(f"{name:18}{n:8}{held[0]:8.1f}{held[1]:8.1f}", flush=True)
    print(f"\nalarms about equal methods, per cent of {trials // 2}; nominal under 5")
    print(f"{'tests':>8}{'tracks':>8}{'median':>8}{'mean':>8}")
    for tests in (1, 4, 12, 40):
        for n in (tracks_needed(tests), 12, 20, 50):
            alarms = []
            for how in ("median", "mean"):
                scores = random.laplace(size=(trials // 2, tests, n))
                raised = [
                    any(surely_below(x, 0.0, how, tests=tests) for x in trial[some])
                    for trial, some in zip(scores, candidates(scores), strict=True)
                ]
                alarms.append(100 * np.mean(raised))
            print(f"{tests:8}{n:8}{alarms[0]:8.1f}{alarms[1]:8.1f}", flush=True)


if __name__ == "__main__":
    main()
