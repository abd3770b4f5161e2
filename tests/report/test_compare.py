from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_runs import LEVELS, records

import sepbench
from sepbench.errors import SepbenchError
from sepbench.evaluation.store import Settings
from sepbench.report import compare_pictures, statistics
from sepbench.report.compare import compare
from sepbench.report.diff import diff
from sepbench.report.gate import worse
from sepbench.report.intervals import interval
from sepbench.report.leaderboard import leaderboard
from sepbench.report.merge import in_one_set, merge


def test_a_better_method_differs_significantly_and_an_equal_one_does_not(saved) -> None:
    (found,) = compare(records(saved("a")), stems=["vocals"])
    assert set(found.figures) == {"good", "same", "poor"}, "oracles are ceilings, not competitors"
    assert found.baseline in ("good", "same")
    by_label = {one.label: one for one in found.differences}
    poor = by_label["poor"]
    assert poor.interval.low < -2 < poor.interval.high < 0
    assert poor.p_holm == pytest.approx(2 * poor.p)
    assert poor.p_holm < 0.01
    assert poor.odds.worse > 0.99
    assert poor.won < 0.1
    (equal,) = (one for one in found.differences if one.label != "poor")
    assert equal.p > 0.05
    assert found.groups == [tuple(label for label in found.ranks if label != "poor")]
    assert list(found.ranks)[-1] == "poor"


@pytest.mark.slow
def test_runs_are_compared_from_python_by_their_folders(saved) -> None:
    one, two = saved("one"), saved("two", {"good": 5.0}, tracks=10)
    found = sepbench.compare(one, two, stems=["vocals"], baseline="good (one)")[0]
    (lost,) = (each for each in found.differences if each.label == "good (two)")
    assert lost.value == pytest.approx(-1.0)
    assert "10 tracks" in found.remarks[0]


def test_methods_are_named_by_globs_without_regard_to_case(saved) -> None:
    (found,) = compare(records(saved("a")), stems=["vocals"], methods=["G*", "Poor"])
    assert set(found.figures) == {"good", "poor"}


def test_differences_are_of_pairs_not_of_figures(saved) -> None:
    (found,) = compare(records(saved("a")), stems=["vocals"], baseline="good", protocol="mdx")
    pair = found.scores["poor"] - found.scores["good"]
    (poor,) = (one for one in found.differences if one.label == "poor")
    assert poor.value == pytest.approx(pair.mean())
    assert poor.interval == interval(pair, "mean")
    # The songs differ far more than the methods, so the interval of a score is much wider.
    own = found.intervals["poor"]
    assert own.high - own.low > 3 * (poor.interval.high - poor.interval.low)


@pytest.mark.parametrize("protocol", ["mrstft-gensvs", "loudness"])
def test_the_better_method_wins_where_low_scores_or_those_near_zero_are_good(
    saved, protocol
) -> None:
    folder = saved("a")
    (found,) = compare(records(folder), stems=["vocals"], protocol=protocol)
    assert list(found.figures)[-1] == "poor"
    (poor,) = (one for one in found.differences if one.label == "poor")
    assert poor.odds.worse > 0.99
    assert poor.won < 0.1
    assert list(found.ranks)[-1] == "poor"
    assert poor.value > 0  # Of loudness in size, whatever its sign.
    old, new = records(folder), records(saved("new", {**LEVELS, "good": 4.5}))
    how = {"protocol": protocol, "metric": None, "stems": ["vocals"], "strict": False}
    failed = [v.condition.split()[0] for v in worse(old, new, 0.1, **how) if v.failed]
    assert failed == ["good"]
    board = leaderboard([folder], protocol=protocol)
    assert [row.label for row in board.grid.rows if row.cells["vocals"].best] == [found.baseline]


def test_the_files_of_scored_stems_are_no_weights_of_their_method(saved) -> None:
    stems = {"vocals": "a" * 64, "accompaniment": "b" * 64}
    scored = saved("scored", {"mine": 5.0}, tracks=2, estimates=stems)
    trained = saved("trained", {"unet": 5.0}, tracks=2, weights="c" * 64)
    rows = leaderboard([scored, trained], protocol="sisec18").grid.rows
    found = {row.label: row.provenance["weights"] for row in rows}
    assert found == {"mine": "", "unet": "c" * 12}


def test_five_tracks_have_differences_but_no_p_value_and_it_says_why(saved) -> None:
    (found,) = compare(records(saved("a", tracks=5)), stems=["vocals"])
    assert all(np.isnan(one.p) for one in found.differences)
    assert not found.groups
    assert any("6 or more" in remark for remark in found.remarks)


def test_tracks_too_few_to_tell_any_two_of_many_methods_apart_are_said(saved) -> None:
    # 2^(1 - 8) times the 10 pairs of five methods is 0.078.
    levels = {"a": 9.0, "b": 7.0, "c": 5.0, "d": 3.0, "e": -9.0}
    (found,) = compare(records(saved("few", levels, tracks=8)), stems=["vocals"])
    assert found.groups == [tuple(found.ranks)]
    assert "8 tracks can tell no 2 of 5 methods apart; evaluate 9 or more" in found.remarks
    (found,) = compare(records(saved("more", levels, tracks=9)), stems=["vocals"])
    assert not any("apart" in remark for remark in found.remarks)
    assert not any("e" in group for group in found.groups)


def test_tracks_that_one_method_lacks_are_left_out_of_its_pairs_alone(saved) -> None:
    folder = saved("a", failed=[("poor", "song 03")])
    (found,) = compare(records(folder), stems=["vocals"])
    counts = {one.label: one.tracks for one in found.differences}
    assert counts["poor"] == 15
    assert max(counts.values()) == 16
    assert found.common == 15
    assert any("15 of 16" in remark for remark in found.remarks)


def test_a_method_of_few_tracks_is_no_baseline_unless_it_is_named(saved) -> None:
    failed = [("good", f"song {number:02}") for number in range(12)]
    folder = saved("a", failed=failed)
    (found,) = compare(records(folder), stems=["vocals"], methods=["good", "same", "poor"])
    assert found.baseline == "same"
    (found,) = compare(records(folder), stems=["vocals"], baseline="good")
    assert found.baseline == "good"


def test_the_pooled_protocol_and_unknown_names_are_refused(saved) -> None:
    folder = saved("a")
    with pytest.raises(SepbenchError, match="single track"):
        compare(records(folder), protocol="pooled")
    with pytest.raises(SepbenchError, match="'great': no such method"):
        compare(records(folder), baseline="great")
    with pytest.raises(SepbenchError, match="no scores of 'piano'; there are vocals, accomp"):
        compare(records(folder), stems=["piano"])


@pytest.mark.slow
def test_pictures_are_written_and_name_the_songs_that_decide(saved, tmp_path, words) -> None:
    (found,) = compare(records(saved("a")), stems=["vocals"], baseline="good")
    files = compare_pictures.save(found, tmp_path / "out")
    assert len(files) == 4
    assert all(path.stat().st_size > 2000 for path in files)
    shown = " ".join(text for text, _ in words(compare_pictures.differences(found)))
    _, worst = (found.scores["poor"] - found.scores["good"]).idxmin()
    assert f"worst on {worst}" in shown


def test_the_picture_of_differences_says_over_how_many_tracks(saved, words) -> None:
    made = records(saved("a", tracks=3))
    (found,) = compare(made, stems=["vocals"], baseline="good")
    shown = [text for text, _ in words(compare_pictures.differences(found))]
    assert any(text.startswith("3 tracks, one point each") for text in shown)
    assert "poor" in shown
    fewer = [one for one in made if (one.label, one.track) != ("poor", "song 00")]
    (found,) = compare(fewer, stems=["vocals"], baseline="good")
    shown = [text for text, _ in words(compare_pictures.differences(found))]
    assert {"same, n = 3", "poor, n = 2"} <= set(shown)
    assert any(text.startswith("up to 3 tracks, one point each") for text in shown)


@pytest.mark.parametrize(("tracks", "circles"), [(1, 0), (3, 2)])
def test_a_track_is_drawn_once_and_all_of_them_as_a_circle(saved, words, tracks, circles) -> None:
    (found,) = compare(records(saved("a", tracks=tracks)), stems=["vocals"], baseline="good")
    page = compare_pictures.differences(found)
    (axes,) = page.axes
    drawn = [len(each.get_offsets()) for each in axes.collections if hasattr(each, "get_sizes")]
    assert drawn == [tracks, tracks]
    assert sum(line.get_marker() == "o" for line in axes.lines) == circles
    text = next(text for text, _ in words(page) if text.startswith(f"{tracks} track"))
    assert ("circle" in text) == bool(circles)


def test_runs_share_what_they_have_and_keep_their_names(saved) -> None:
    one, two = saved("one"), saved("two", {"good": 5.0}, tracks=10, seed=1)
    merged = merge([one, two])
    assert {record.track for record in merged.records} == {f"song {n:02}" for n in range(10)}
    assert {"good (one)", "good (two)", "poor"} <= set(merged.origin)
    assert any("10 tracks" in remark for remark in merged.remarks)
    again = merge([one, one])
    assert "good" in again.origin, "the same results of two folders are one method"


def test_runs_of_other_audio_are_refused(saved) -> None:
    other = saved("b", settings=Settings("other", "test"), tracks=["x", "y"])
    with pytest.raises(SepbenchError, match="no common track with the same audio: a is of"):
        merge([saved("a"), other])
    with pytest.raises(SepbenchError, match="no common track with the same audio"):
        merge([saved("a"), saved("c", audio="another")])


def test_other_sets_of_stems_are_compared_in_common_windows_or_not_at_all(saved) -> None:
    all_records = records(saved("a"))
    changed = []
    for record in all_records:
        vocals = record.stems["vocals"]
        if record.label == "poor":
            frames = {**vocals.frames, "SDR": [float("nan"), *vocals.frames["SDR"][1:]]}
            vocals = replace(vocals, targets=("vocals", "drums"), frames=frames)
        changed.append(replace(record, stems={"vocals": vocals}))
    (found,) = compare(changed, stems=["vocals"], methods=["good", "poor"])
    assert any("common windows" in remark for remark in found.remarks)
    usual = compare(all_records, stems=["vocals"], methods=["good", "poor"])[0]
    # Without its first and lowest window the median of three windows is 0.5 dB higher.
    assert found.figures["good"] == pytest.approx(usual.figures["good"] + 0.5)
    kept, remarks = in_one_set(changed, "vocals", "SIR")
    assert "poor" not in {record.label for record in kept if "vocals" in record.stems}
    assert "left out: poor" in remarks[0]


def test_whole_track_scores_of_other_sets_are_left_as_they_are_or_out(saved) -> None:
    changed = []
    for record in records(saved("a", {"good": 6.0, "same": 6.0, "poor": 4.0})):
        vocals = record.stems["vocals"]
        vocals = replace(vocals, totals={**vocals.totals, "level": 1.0})
        if record.label == "poor":
            vocals = replace(vocals, targets=("vocals",))
        changed.append(replace(record, stems={"vocals": vocals}))
    (found,) = compare(changed, protocol="mdx", stems=["vocals"])
    assert found.remarks == []
    assert "poor" in found.figures
    (found,) = compare(changed, protocol="level", stems=["vocals"])
    assert list(found.figures) == ["good", "same"], "the level of another sum"
    assert "left out: poor" in found.remarks[0]


def test_songs_of_one_name_in_two_subsets_are_two_songs(saved) -> None:
    test = records(saved("test", {"good": 6.0, "poor": 4.0}, 3))
    train = [
        replace(record, subset="train")
        for record in records(saved("train", {"good": 7.0, "poor": 4.0}, 3, seed=1))
    ]
    vocals = compare([*test, *train], stems=["vocals"])[0]
    assert len(vocals.scores) == 6
    assert vocals.differences[0].tracks == 6
    assert {
        change.tracks for change in diff(test + train, test + train, protocol="mdx").scores
    } == {6}


@pytest.mark.slow
def test_equal_methods_raise_a_false_alarm_in_under_five_per_cent() -> None:
    random = np.random.default_rng(0)
    for how, tests in (("median", 1), ("mean", 8)):
        tracks = statistics.tracks_needed(tests)
        raised = [
            any(statistics.surely_below(one, 0.0, how, tests=tests) for one in songs)
            for songs in random.laplace(size=(300, tests, tracks))
        ]
        assert np.mean(raised) < 0.05
