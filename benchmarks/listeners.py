"""Correlate metrics with the ratings of listeners, from a table of ratings and scores.

    python benchmarks/listeners.py RATINGS.csv [--rating DMOS] [--by GROUP]

RATINGS.csv has a row for each rated file (or each rating: the rows of one file are averaged), a
column with the mean rating, and a column for each metric, in the format of gensvs_eval
(gensvs_eval_data.csv). Columns without numbers are ignored. Prints absolute Spearman and Pearson
correlations for each group of files, with 95 % intervals by bootstrap over files.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from measure import table
from scipy import stats

RESAMPLES = 2000


def correlations(ratings: np.ndarray, scores: np.ndarray) -> tuple[float, float, float, float]:
    """Return absolute Spearman, the ends of its interval, and absolute Pearson."""
    known = np.isfinite(ratings) & np.isfinite(scores)
    ratings, scores = ratings[known], scores[known]
    if len(ratings) < 3 or not scores.std():
        return (float("nan"),) * 4
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(ratings), size=(RESAMPLES, len(ratings)))
    ranks = [stats.rankdata(x[drawn], axis=1) for x in (ratings, scores)]
    centred = [rank - rank.mean(1, keepdims=True) for rank in ranks]
    norms = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    with np.errstate(invalid="ignore"):
        resampled = (centred[0] * centred[1]).sum(1) / norms
    spearman = stats.spearmanr(ratings, scores).statistic
    sign = np.sign(spearman) or 1.0
    low, high = np.nanpercentile(sign * resampled, [2.5, 97.5])
    return abs(spearman), low, high, abs(stats.pearsonr(ratings, scores).statistic)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ratings", help="CSV file.")
    parser.add_argument("--rating", help="Column of the ratings.  [default: the first with 'mos']")
    parser.add_argument("--by", help="Column by which files are grouped.")
    options = parser.parse_args()
    frame = pd.read_csv(options.ratings)
    rating = options.rating or next(name for name in frame if "mos" in name.lower())
    groups = [("all", frame)] if options.by is None else list(frame.groupby(options.by))
    rows = []
    for name in frame.select_dtypes("number").columns:
        if name == rating:
            continue
        row = [str(name)]
        for _, group in groups:
            found = correlations(group[rating].to_numpy(float), group[name].to_numpy(float))
            row += [f"{found[0]:.2f} ({found[1]:.2f} to {found[2]:.2f})", f"{found[3]:.2f}"]
        rows.append(row)
    rows.sort(key=lambda row: row[1], reverse=True)
    heads = ["metric"]
    for label, group in groups:
        heads += [f"Spearman, {label} ({len(group)})", "Pearson"]
    print(table(heads, rows))


if __name__ == "__main__":
    main()
