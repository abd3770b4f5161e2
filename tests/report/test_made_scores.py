"""Tables and tests of scores that are written down here, with their results worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sepbench.errors import SepbenchError
from sepbench.evaluation.museval_json import import_museval
from sepbench.evaluation.records import Record, StemResult, fingerprint
from sepbench.evaluation.store import Settings, Store
from sepbench.report import statistics, tables
from sepbench.report.build import write
from sepbench.report.compare import compare
from sepbench.report.diff import diff
from sepbench.report.formats import records as rows_of
from sepbench.report.gate import Floor, worse
from sepbench.report.grid import grid
from sepbench.report.lacking import lacking
from sepbench.report.run import open_run

NAN = float("nan")


def record(
    label: str,
    track: str,
    stems: Mapping[str, Sequence[float] | Mapping[str, float]],
    *,
    mixture: float = -5.0,
    targets: Sequence[str] = (),
    error: str | None = None,
) -> Record:
    """Return a record with SDR by windows, or totals by the id of a score, of each stem."""
    identity = {"method": label, "sepbench": "0", "metrics": ["sdr"], "audio": track}
    results = {}
    for stem, given in stems.items():
        totals = dict(given) if isinstance(given, Mapping) else {}
        frames = {} if isinstance(given, Mapping) else {"SDR": list(given)}
        results[stem] = StemResult(
            tuple(targets or stems),
            frames,
            totals,
            {name: [mixture] * len(values) for name, values in frames.items()},
            dict.fromkeys(totals, mixture),
        )
    return Record(
        "some", "test", track, label, label, {}, fingerprint(identity), identity, results,
        seconds=1.0, audio_seconds=10.0, peak_bytes=1000, error=error,
    )  # fmt: skip


def by_method(scores: Mapping[str, Sequence[float]], score: str = "") -> list[Record]:
    """Return records of one stem, with a score for each track in turn."""
    return [
        record(label, f"{n:02}", {"vocals": {score: value} if score else [value]})
        for label, values in scores.items()
        for n, value in enumerate(values)
    ]


def table(records: Sequence[Record], protocol: str = "sisec18", metric: str | None = None):
    return grid(tables.scores(records), tables.summary(records), protocol, metric)


def marked(found) -> dict[str, tuple[float, bool, bool]]:
    cells = {row.label: row.cells["vocals"] for row in found.rows}
    return {label: (round(cell.value, 3), cell.best, cell.tie) for label, cell in cells.items()}


def store(folder: Path, records: Sequence[Record]) -> Store:
    made = Store.create(folder, Settings("some", "test"))
    for one in records:
        made.save(one)
    return made


def test_errors_of_opposite_sign_do_not_make_up_for_each_other() -> None:
    swings = [5.0, -5.0] * 6
    records = by_method({"swings": swings, "steady": [1.0 + n / 100 for n in range(12)]}, "level")
    assert marked(table(records, "level")) == {
        "steady": (1.055, True, False),
        "swings": (5.0, False, False),
    }
    (found,) = compare(records, protocol="level")
    assert found.baseline == "steady"
    (swung,) = found.differences
    assert swung.value == pytest.approx(3.945)
    assert swung.won == 0
    improvement = tables.summary(records).set_index(["label", "statistic"])["improvement"]
    assert improvement["swings", "median"] == pytest.approx(0.0)  # from 5 to 5


def test_of_a_metric_with_two_directions_each_score_has_its_own() -> None:
    better, less = "2f-model", "2f-model ADB"
    records = [
        record(label, f"{n:02}", {"vocals": {better: score + n / 9, less: blocks + n / 99}})
        for label, score, blocks in (("good", 60.0, 1.0), ("bad", 20.0, 3.0))
        for n in range(8)
    ]
    for metric in ("2f-model", "ADB"):
        (found,) = compare(records, protocol="2f-model", metric=metric)
        assert found.baseline == "good"
        assert [one.won for one in found.differences] == [0.0]
        assert marked(table(records, "2f-model", metric))["good"][1]
    rows = (
        tables.scores(records).set_index(["label", "metric"])["improvement"].groupby(level=[0, 1])
    )
    assert rows.mean()["good", "ADB"] < -5.9  # of a mixture of -5, which is lower


def test_only_an_interval_around_zero_is_no_difference() -> None:
    low = [1, 2, 3, 4, 5, 6, 7]
    best = [float(x) for x in (*low, 20, *range(21, 28))]
    beside = [x + 0.5 + n / 1000 for n, x in enumerate(best)]
    beside[7] = 6.0  # Its median is lower, yet it is better on all other tracks.
    found = marked(table(by_method({"best": best, "beside": beside})))
    assert found["best"][1]
    assert not found["beside"][2]


@pytest.mark.parametrize("tracks", [14, 20, 40])
def test_unchanged_tracks_give_no_evidence(tracks: int) -> None:
    differences = np.zeros(tracks)
    differences[:5] = [-0.5, -0.6, -0.7, -0.8, -0.9]
    assert statistics.wilcoxon(differences) == pytest.approx(2 / 2**5)
    assert statistics.wilcoxon(differences, "less") == pytest.approx(1 / 2**5)
    assert not statistics.surely_below(differences, 0, "mean")
    changed = np.linspace(-1, 0.31, tracks)
    assert statistics.wilcoxon(changed) == pytest.approx(stats.wilcoxon(changed).pvalue)


def test_a_score_counts_before_a_failure_in_whichever_run_it_is(tmp_path: Path) -> None:
    scores = {"00": 3.0, "01": 4.0, "02": 5.0}
    whole = [record("m", name, {"vocals": [value]}) for name, value in scores.items()]
    broken = [whole[2], *(record("m", name, {}, error="no memory") for name in ("00", "01"))]
    one, two = store(tmp_path / "one", broken), store(tmp_path / "two", whole)
    for first, other in ((one, two), (two, one)):
        summary = write(first, others=[other], protocol="sisec18", out=tmp_path / "out").summary
        row = summary[summary["protocol"].eq("sisec18")].iloc[0]
        assert (row["label"], row["value"], row["tracks"], row["failed"]) == ("m", 4.0, 3, 0)


def test_methods_on_different_tracks_are_not_ranked_though_they_are_of_one_number() -> None:
    hard = [record("hard", f"{n:02}", {"vocals": [float(n)]}) for n in range(10)]
    easy = [record("easy", f"{n:02}", {"vocals": [n - 1.0]}) for n in range(2, 12)]
    found = table([*hard, *easy])
    assert not any(best or tie for _, best, tie in marked(found).values())
    unequal = lacking(tables.scores([*hard, *easy]), "sisec18")
    assert unequal == {("hard", "vocals"), ("easy", "vocals")}


def test_a_stem_without_a_score_of_one_track_is_counted_by_itself() -> None:
    records = [
        record(
            label, f"{n:02}", {"vocals": [value if n or label == "b" else NAN], "drums": [value]}
        )
        for label, value in (("a", 5.0), ("b", 4.0))
        for n in range(8)
    ]
    found = table(records)
    tracks = {(row["label"], row["stem"]): row["tracks"] for row in rows_of(found)}
    assert tracks == {("a", "vocals"): 7, ("a", "drums"): 8, ("b", "vocals"): 8, ("b", "drums"): 8}
    assert lacking(tables.scores(records), "sisec18") == {("a", "vocals")}
    best = {row.label: (row.cells["vocals"].best, row.cells["drums"].best) for row in found.rows}
    assert best == {"a": (False, True), "b": (False, False)}
    assert "Tracks: 7 to 8." in found.notes[0]


def test_a_regression_is_judged_in_windows_that_both_runs_use() -> None:
    """The new run has a larger set, whose silent stems mask windows; the others are the same."""
    windows = [8.0] * 12 + [0.0] * 8
    old = [record("m", f"{n:02}", {"vocals": windows}) for n in range(8)]
    fewer = [NAN] * 12 + [0.0] * 8
    sets = ("vocals", "drums", "bass", "other")
    new = [record("m", f"{n:02}", {"vocals": fewer}, targets=sets) for n in range(8)]
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"], "strict": True}
    (verdict,) = worse(old, new, 0.1, **how)
    assert (verdict.value, verdict.failed) == (0.0, False)
    found = diff(old, new, protocol="sisec18")
    assert [(one.old, one.new, one.value) for one in found.scores] == [(0.0, 0.0, 0.0)]
    assert [one.fact for one in found.changes] == ["vocals scored within"]


def test_a_run_that_crashes_on_tracks_is_worse() -> None:
    old = by_method({"m": [5.0] * 20})
    new = [*old[:2], *(record("m", one.track, {}, error="no memory") for one in old[2:])]
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"], "strict": False}
    (verdict,) = worse(old, new, 0.1, **how)
    assert verdict.failed
    assert "failed on 18 tracks that the old one scored" in verdict.reason
    (verdict,) = worse(old, old[:12], 0.1, **how)  # fewer tracks, none of them failed
    assert not verdict.failed


def test_imported_scores_are_held_against_the_mixture_of_their_own_subset(tmp_path: Path) -> None:
    """DSD100 and MUSDB18 have songs of one name in two subsets."""
    run = Store.create(tmp_path / "run", Settings("some", "all"))
    for subset, mixture in (("test", -5.0), ("train", -20.0)):
        one = record("mixture", "song", {"vocals": [mixture]}, mixture=mixture)
        run.save(replace(one, subset=subset))
    file = tmp_path / "test" / "song.json"
    file.parent.mkdir()
    metrics = dict.fromkeys(("SDR", "ISR", "SIR", "SAR"), 4.0)
    frames = [{"time": 0.0, "duration": 1.0, "metrics": metrics}]
    file.write_text(json.dumps({"targets": [{"name": "vocals", "frames": frames}]}))
    list(import_museval({"theirs": [file]}, run))
    rows = tables.scores(run.records())
    (gain,) = rows[
        rows["label"].eq("theirs") & rows["protocol"].eq("sisec18") & rows["metric"].eq("SDR")
    ]["improvement"]
    assert gain == 9.0


def test_failures_of_songs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    run = Store.create(tmp_path / "run", Settings("some", "all"))
    for subset in ("test", "train"):
        run.save(replace(record("m", "song", {}, error=f"no {subset}"), subset=subset))
    assert open_run(tmp_path / "run").failures == {
        ("m", "song (test)"): "no test",
        ("m", "song (train)"): "no train",
    }


def test_what_a_protocol_does_not_have_is_refused_in_a_diff() -> None:
    records = by_method({"m": [5.0] * 3})
    with pytest.raises(SepbenchError, match="no metric 'SDRR'; did you mean 'SDR'"):
        diff(records, records, protocol="sisec18", metric="SDRR")
    with pytest.raises(SepbenchError, match="no score of a single track"):
        diff(records, records, protocol="pooled")
    with pytest.raises(SepbenchError, match="write it as"):
        Floor.parse("m vocals SDR nan")


def test_few_tracks_of_one_method_are_said_of_it_alone() -> None:
    records = by_method({"a": [5.0 + n for n in range(20)], "b": [4.0 + n for n in range(20)]})
    records += by_method({"c": [3.0, 4.5, 5.5]})
    (found,) = compare(records)
    assert [one.p < 0.001 for one in found.differences if one.label == "b"] == [True]
    assert found.remarks[0] == f"c: {statistics.too_few(3)}"
    assert "no ranks and groups: 3 tracks with all methods, 6 are needed" in found.remarks


def test_equal_in_practice_means_a_tenth_of_a_decibel_only_in_decibels() -> None:
    scores = {"a": [0.94 + n / 1000 for n in range(10)], "b": [0.86 + n / 1100 for n in range(10)]}
    (f1,) = compare(by_method(scores, "activity"), protocol="activity")
    assert f1.differences[0].odds.worse > 0.99
    (decibels,) = compare(by_method(scores))
    assert decibels.differences[0].odds.equal > 0.99


@pytest.mark.slow
def test_a_set_other_than_that_of_most_published_systems_is_named(tmp_path: Path) -> None:
    """27 of the 31 systems of SiSEC 2018 have vocals within vocals and accompaniment."""
    pair, four = ("vocals", "accompaniment"), ("vocals", "drums", "bass", "other")

    def said(name: str, *sets: tuple[str, ...]) -> list[str]:
        folder = Store.create(tmp_path / name, Settings("musdb18", "test"))
        for number, stems in enumerate(sets):
            scores = record(f"m{number}", "AM Contra - Heart Peripheral", {"vocals": [1.0]})
            vocals = replace(scores.stems["vocals"], targets=stems)
            folder.save(replace(scores, dataset="musdb18", stems={"vocals": vocals}))
        made = write(folder, protocol="sisec18", references=("sisec18",))
        assert made.scores["published"].any()
        return [remark for remark in made.remarks if "published systems" in remark]

    assert said("as museval", pair) == []
    of_four = [
        "vocals: scored within vocals+drums+bass+other here, most published systems within "
        "vocals+accompaniment, up to 3 dB apart; --targets musdb scores as they were"
    ]
    assert said("within four", four) == of_four
    assert said("both", pair, four) == of_four
