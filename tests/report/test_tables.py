from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from sepbench.evaluation.records import Record, StemResult
from sepbench.report import tables
from sepbench.report.csv_text import lines
from sepbench.report.intervals import interval, pooled_interval
from sepbench.report.score_lines import score_lines
from sepbench.report.scored import scored

NAN = float("nan")


def record(track: str, frames: list[float], mixture: list[float], total: float) -> Record:
    vocals = StemResult(
        targets=("vocals", "accompaniment"),
        frames={"SDR": frames},
        totals={"uSDR": total},
        mixture_frames={"SDR": mixture},
        mixture_totals={"uSDR": -1.0},
    )
    return Record(
        dataset="some",
        subset="test",
        track=track,
        label="method[power=2]",
        method="method",
        options={"power": 2.0},
        fingerprint="",
        identity={},
        stems={"vocals": vocals},
        seconds=2.0,
        audio_seconds=4.0,
        peak_bytes=3_000_000,
    )


RECORDS = [
    # The window that the method lacks must not count for the mixture either.
    record("a", [1.0, 2.0, NAN, 9.0], [0.0, 0.5, 100.0, 1.0], 3.0),
    record("b", [5.0, 7.0], [1.0, 2.0], 5.0),
    record("c", [0.0], [0.0], 10.0),
]


def value(frame: pd.DataFrame, protocol: str, column: str = "value") -> float:
    (found,) = frame.loc[frame["protocol"] == protocol, column]
    return float(found)


def test_a_track_s_score_and_improvement_use_the_windows_both_have() -> None:
    scores = tables.scores(RECORDS)
    first = scores[(scores["track"] == "a") & (scores["protocol"] == "sisec18")].iloc[0]
    assert first["value"] == 2.0
    assert first["mixture"] == 0.5
    assert first["improvement"] == 1.5
    assert first["frames"] == 4
    assert first["frames_used"] == 0.75
    assert first["options"] == "power=2"
    assert first["set"] == "vocals+accompaniment"


def test_options_are_all_in_a_label_s_brackets() -> None:
    label = "ensemble[unet+hpss[margin=2]]"
    scores = tables.scores([replace(RECORDS[0], label=label, method="ensemble")])
    assert set(scores["options"]) == {"unet+hpss[margin=2]"}
    plain = tables.scores([replace(RECORDS[0], label="unet", method="unet")])
    assert set(plain["options"]) == {""}
    renamed = tables.scores([replace(RECORDS[0], label="hpss[margin=2] (1)", method="hpss")])
    assert set(renamed["options"]) == {"margin=2"}


def test_each_protocol_aggregates_in_its_own_way() -> None:
    summary = tables.summary(RECORDS)
    assert value(summary, "sisec18") == 2.0  # the median of 2, 6 and 0
    assert value(summary, "mean") == pytest.approx((4 + 6 + 0) / 3)
    assert value(summary, "pooled") == 3.5  # the median of 0, 1, 2, 5, 7 and 9
    assert value(summary, "mdx") == 6.0
    assert value(summary, "mdx", "improvement") == 7.0
    assert value(summary, "pooled", "improvement") == 3.5 - 0.75
    assert value(summary, "sisec18", "seconds_per_second") == 0.5
    assert value(summary, "sisec18", "peak_memory_mb") == 3.0


def test_costs_that_were_not_measured_are_no_numbers() -> None:
    """Stems made by other programs have no time and no memory, rather than 0 MB."""
    summary = tables.summary([replace(one, seconds=None, peak_bytes=None) for one in RECORDS])
    assert summary["peak_memory_mb"].isna().all()
    assert summary["seconds_per_second"].isna().all()


def test_a_silent_track_runs_and_is_scored_on_the_others() -> None:
    silent = record("d", [NAN, NAN], [NAN, NAN], NAN)
    summary = tables.summary([*RECORDS, silent])
    assert set(summary["tracks"]) == {3}
    assert value(summary, "sisec18") == value(tables.summary(RECORDS), "sisec18")


def test_a_failure_is_one_row_and_counts_as_no_track() -> None:
    failed = Record("some", "test", "d", "method[power=2]", "method", {}, "", {}, error="why")
    scores = tables.scores([*RECORDS, failed])
    (row,) = [row for _, row in scores.iterrows() if row["error"]]
    assert row["track"] == "d"
    assert math.isnan(row["value"])
    summary = tables.summary([*RECORDS, failed])
    assert set(summary["failed"]) == {1}
    assert set(summary["tracks"]) == {3}
    assert set(summary["error"]) == {"why"}


def test_a_method_that_never_succeeds_is_in_the_summary() -> None:
    failed = Record("some", "test", "d", "method", "method", {}, "", {}, error="why")
    (row,) = [row for _, row in tables.summary([failed]).iterrows()]
    assert row["error"] == "why"
    assert row["tracks"] == 0


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    scores = tables.scores(RECORDS)
    tables.write_csv(scores, tmp_path / "scores.csv")
    text = (tmp_path / "scores.csv").read_text()
    read = pd.read_csv(io.StringIO(text))
    assert list(read.columns) == tables.SCORE_COLUMNS
    pd.testing.assert_series_equal(read["value"], scores["value"], check_names=False)


def test_the_lines_of_a_run_are_those_of_its_table() -> None:
    failed = Record("some", "te,st", "=d", "x", "x", {}, "", {}, error='nan, "why"\nthen')
    odd = replace(
        RECORDS[1], track="nan nan", stems={**RECORDS[1].stems, "a,b": RECORDS[1].stems["vocals"]}
    )
    tracks = [scored(each) for each in (*RECORDS, failed, odd, record("e", [NAN], [NAN], NAN))]
    made = "".join(score_lines(tracks))
    assert made == "".join(lines(tables.score_table(tracks)))
    assert "'=d" in made
    assert pd.read_csv(io.StringIO(made), keep_default_na=False)["track"].eq("nan nan").any()


def test_each_figure_has_the_interval_of_its_own_statistic() -> None:
    summary = tables.summary(RECORDS)
    ends = {(row.protocol, row.statistic): (row.low, row.high) for row in summary.itertuples()}
    assert ends["sisec18", "median"] == interval([2.0, 6.0, 0.0], "median")
    assert ends["mean", "mean"] == interval([4.0, 6.0, 0.0], "mean")
    windows = [result.stems["vocals"].frames["SDR"] for result in RECORDS]
    assert ends["pooled", "median"] == pooled_interval(windows)
    assert ends["mdx", "mean"] == interval([3.0, 5.0, 10.0], "mean")
