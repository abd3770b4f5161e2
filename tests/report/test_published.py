from __future__ import annotations

import pandas as pd
import pytest

from sepbench.report.published import ORACLES, campaign, caption, published_rows
from sepbench.report.tables import SCORE_COLUMNS

FOUR = ("vocals", "drums", "bass", "other")
ALL = (*FOUR, "accompaniment")


@pytest.fixture
def songs():
    return sorted(set(campaign()["track"]))


def test_the_campaign_is_there_whole():
    figures = campaign()
    assert len(figures) == 6050
    assert figures["method"].nunique() == 31
    assert figures["track"].nunique() == 50
    assert not figures.isna().any(axis=None)
    assert not figures.duplicated(["method", "stem", "track"]).any()


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("STL2 (SiSEC18)", {"vocals": 3.25, "drums": 4.22, "bass": 3.21, "other": 2.25}),
        ("HPSS (SiSEC18)", {"vocals": -0.34, "accompaniment": 4.37}),
        ("REP2 (SiSEC18)", {"vocals": 2.30, "accompaniment": 7.37}),
        ("UHL2 (SiSEC18)", {"vocals": 5.93}),
        ("IBM2 (SiSEC18)", {"vocals": 7.74}),
        ("IRM2 (SiSEC18)", {"vocals": 9.43}),
        ("MWF (SiSEC18)", {"vocals": 9.13}),
    ],
)
def test_medians_over_tracks_are_the_published_figures(run, songs, label, expected):
    rows, reasons = published_rows(run({"hpss": 1.0}, songs, ALL), whole_tracks=True)
    assert reasons == []
    medians = rows[rows["label"] == label].groupby("stem")["value"].median()
    for stem, value in expected.items():
        assert medians[stem] == pytest.approx(value, abs=0.006)


def test_rows_fit_the_table_and_say_what_they_are(run, songs):
    scores = run({"hpss": 1.0}, songs, ALL)
    rows, _ = published_rows(scores, whole_tracks=True)
    assert list(rows.columns) == list(SCORE_COLUMNS)
    assert rows["published"].all()
    assert rows["protocol"].eq("sisec18").all()
    assert not rows.duplicated(["label", "track", "stem", "metric"]).any()
    assert rows["mixture"].isna().all()
    assert set(rows.loc[rows["oracle"], "method"]) == set(ORACLES)
    assert set(rows.loc[rows["method"] == "MIX", "label"]) == {"MIX: mixture/4 (SiSEC18)"}
    joined = pd.concat([scores, rows], ignore_index=True)
    for flag in ("oracle", "trained_on_this", "published"):
        assert joined[flag].dtype == bool


def test_museval_scores_vocals_with_the_accompaniment_where_there_is_one(run, songs):
    rows, _ = published_rows(run({"hpss": 1.0}, songs, ALL), whole_tracks=True)
    sets = rows.groupby(["method", "stem"])["set"].unique()
    assert sets["STL2", "vocals"].tolist() == ["vocals+drums+bass+other"]
    assert sets["UHL2", "vocals"].tolist() == ["vocals+accompaniment"]
    assert sets["UHL2", "bass"].tolist() == ["vocals+drums+bass+other"]


def test_only_tracks_stems_and_metrics_of_the_run_come_back(run, songs):
    scores = run({"hpss": 1.0}, songs[:3], ("vocals", "accompaniment"))
    scores = pd.concat([scores, scores.assign(metric="SIR")], ignore_index=True)
    rows, _ = published_rows(scores, whole_tracks=True)
    assert set(rows["track"]) == set(songs[:3])
    assert set(rows["stem"]) == {"vocals", "accompaniment"}
    assert set(rows["metric"]) == {"SDR", "SIR"}


def test_the_uncompressed_songs_are_distinguished(run, songs):
    rows, reasons = published_rows(
        run({"hpss": 1.0}, songs, dataset="musdb18-hq"), whole_tracks=True
    )
    assert reasons == []
    assert "STL2 (SiSEC18, MUSDB18)" in set(rows["label"])
    assert set(rows["dataset"]) == {"musdb18"}
    assert "MUSDB18-HQ" in caption("musdb18-hq")
    assert "MUSDB18-HQ" not in caption("musdb18")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"dataset": "excerpt"}, "this run is of the data set 'excerpt'"),
        ({"dataset": "musdb18-7s"}, "this run is of the data set 'musdb18-7s'"),
        ({"subset": "train"}, "this run is of the subset 'train'"),
        ({"protocol": "mdx"}, "of the protocol 'sisec18'; this run is 'mdx'"),
    ],
)
def test_other_data_and_protocols_get_a_reason_and_no_rows(run, songs, facts, reason):
    scores = run({"hpss": 1.0}, songs, **facts)
    rows, reasons = published_rows(scores, whole_tracks=True)
    assert rows.empty
    assert list(rows.columns) == list(scores.columns)
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_extracts_unknown_songs_and_empty_runs_get_a_reason(run, songs):
    scores = run({"hpss": 1.0}, [*songs[:2], "My own song"])
    rows, reasons = published_rows(scores, whole_tracks=False)
    assert rows.empty
    assert "whole songs" in reasons[0]
    assert "'My own song'" in reasons[1]
    rows, reasons = published_rows(scores.iloc[:0], whole_tracks=True)
    assert rows.empty
    assert len(reasons) == 1
