from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_runs import STEMS, make_run

import sepbench
from sepbench.errors import SepbenchError
from sepbench.evaluation.store import Settings, Store
from sepbench.metrics.protocols import PROTOCOLS
from sepbench.report import compare_pictures, statistics, tables
from sepbench.report.compare import compare
from sepbench.report.diff import diff
from sepbench.report.gate import Floor, below, worse
from sepbench.report.intervals import interval
from sepbench.report.leaderboard import leaderboard
from sepbench.report.merge import contents, in_one_set, merge
from sepbench.report.scored import scored

LEVELS = {"good": 6.0, "same": 6.0, "poor": 4.0, "oracle": 9.0}


@pytest.fixture
def run(tmp_path):
    """Return a function that writes a run called by its first argument."""

    def make(name, levels=LEVELS, tracks=16, **how):
        return make_run(tmp_path / name, levels, tracks, **how).folder

    return make


def records(folder):
    return contents(folder)[1]


def test_a_better_method_differs_significantly_and_an_equal_one_does_not(run) -> None:
    (found,) = compare(records(run("a")), stems=["vocals"])
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
def test_runs_are_compared_from_python_by_their_folders(run) -> None:
    one, two = run("one"), run("two", {"good": 5.0}, tracks=10)
    found = sepbench.compare(one, two, stems=["vocals"], baseline="good (one)")[0]
    (lost,) = (each for each in found.differences if each.label == "good (two)")
    assert lost.value == pytest.approx(-1.0)
    assert "10 tracks" in found.remarks[0]


def test_methods_are_named_by_globs_without_regard_to_case(run) -> None:
    (found,) = compare(records(run("a")), stems=["vocals"], methods=["G*", "Poor"])
    assert set(found.figures) == {"good", "poor"}


def test_differences_are_of_pairs_not_of_figures(run) -> None:
    (found,) = compare(records(run("a")), stems=["vocals"], baseline="good", protocol="mdx")
    pair = found.scores["poor"] - found.scores["good"]
    (poor,) = (one for one in found.differences if one.label == "poor")
    assert poor.value == pytest.approx(pair.mean())
    assert poor.interval == interval(pair, "mean")
    # The songs differ far more than the methods, so the interval of a score is much wider.
    own = found.intervals["poor"]
    assert own.high - own.low > 3 * (poor.interval.high - poor.interval.low)


@pytest.mark.parametrize("protocol", ["mrstft-gensvs", "loudness"])
def test_the_better_method_wins_where_low_scores_or_those_near_zero_are_good(run, protocol) -> None:
    folder = run("a")
    (found,) = compare(records(folder), stems=["vocals"], protocol=protocol)
    assert list(found.figures)[-1] == "poor"
    (poor,) = (one for one in found.differences if one.label == "poor")
    assert poor.odds.worse > 0.99
    assert poor.won < 0.1
    assert list(found.ranks)[-1] == "poor"
    assert poor.value > 0  # Of loudness in size, whatever its sign.
    old, new = records(folder), records(run("new", {**LEVELS, "good": 4.5}))
    how = {"protocol": protocol, "metric": None, "stems": ["vocals"], "strict": False}
    failed = [v.condition.split()[0] for v in worse(old, new, 0.1, **how) if v.failed]
    assert failed == ["good"]
    board = leaderboard([folder], protocol=protocol)
    assert [row.label for row in board.grid.rows if row.cells["vocals"].best] == [found.baseline]


def test_the_files_of_scored_stems_are_no_weights_of_their_method(run) -> None:
    stems = {"vocals": "a" * 64, "accompaniment": "b" * 64}
    scored = run("scored", {"mine": 5.0}, tracks=2, estimates=stems)
    trained = run("trained", {"unet": 5.0}, tracks=2, weights="c" * 64)
    rows = leaderboard([scored, trained], protocol="sisec18").grid.rows
    found = {row.label: row.provenance["weights"] for row in rows}
    assert found == {"mine": "", "unet": "c" * 12}


def test_five_tracks_have_differences_but_no_p_value_and_it_says_why(run) -> None:
    (found,) = compare(records(run("a", tracks=5)), stems=["vocals"])
    assert all(np.isnan(one.p) for one in found.differences)
    assert not found.groups
    assert any("6 or more" in remark for remark in found.remarks)


def test_tracks_too_few_to_tell_any_two_of_many_methods_apart_are_said(run) -> None:
    # 2^(1 - 8) times the 10 pairs of five methods is 0.078.
    levels = {"a": 9.0, "b": 7.0, "c": 5.0, "d": 3.0, "e": -9.0}
    (found,) = compare(records(run("few", levels, tracks=8)), stems=["vocals"])
    assert found.groups == [tuple(found.ranks)]
    assert "8 tracks can tell no 2 of 5 methods apart; evaluate 9 or more" in found.remarks
    (found,) = compare(records(run("more", levels, tracks=9)), stems=["vocals"])
    assert not any("apart" in remark for remark in found.remarks)
    assert not any("e" in group for group in found.groups)


def test_tracks_that_one_method_lacks_are_left_out_of_its_pairs_alone(run) -> None:
    folder = run("a", failed=[("poor", "song 03")])
    (found,) = compare(records(folder), stems=["vocals"])
    counts = {one.label: one.tracks for one in found.differences}
    assert counts["poor"] == 15
    assert max(counts.values()) == 16
    assert found.common == 15
    assert any("15 of 16" in remark for remark in found.remarks)


def test_a_method_of_few_tracks_is_no_baseline_unless_it_is_named(run) -> None:
    failed = [("good", f"song {number:02}") for number in range(12)]
    folder = run("a", failed=failed)
    (found,) = compare(records(folder), stems=["vocals"], methods=["good", "same", "poor"])
    assert found.baseline == "same"
    (found,) = compare(records(folder), stems=["vocals"], baseline="good")
    assert found.baseline == "good"


def test_the_pooled_protocol_and_unknown_names_are_refused(run) -> None:
    folder = run("a")
    with pytest.raises(SepbenchError, match="single track"):
        compare(records(folder), protocol="pooled")
    with pytest.raises(SepbenchError, match="'great': no such method"):
        compare(records(folder), baseline="great")
    with pytest.raises(SepbenchError, match="no scores of 'piano'; there are vocals, accomp"):
        compare(records(folder), stems=["piano"])


@pytest.mark.slow
def test_pictures_are_written_and_name_the_songs_that_decide(run, tmp_path, words) -> None:
    (found,) = compare(records(run("a")), stems=["vocals"], baseline="good")
    files = compare_pictures.save(found, tmp_path / "out")
    assert len(files) == 4
    assert all(path.stat().st_size > 2000 for path in files)
    shown = " ".join(text for text, _ in words(compare_pictures.differences(found)))
    _, worst = (found.scores["poor"] - found.scores["good"]).idxmin()
    assert f"worst on {worst}" in shown


def test_the_picture_of_differences_says_over_how_many_tracks(run, words) -> None:
    made = records(run("a", tracks=3))
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
def test_a_track_is_drawn_once_and_all_of_them_as_a_circle(run, words, tracks, circles) -> None:
    (found,) = compare(records(run("a", tracks=tracks)), stems=["vocals"], baseline="good")
    page = compare_pictures.differences(found)
    (axes,) = page.axes
    drawn = [len(each.get_offsets()) for each in axes.collections if hasattr(each, "get_sizes")]
    assert drawn == [tracks, tracks]
    assert sum(line.get_marker() == "o" for line in axes.lines) == circles
    text = next(text for text, _ in words(page) if text.startswith(f"{tracks} track"))
    assert ("circle" in text) == bool(circles)


def test_runs_share_what_they_have_and_keep_their_names(run) -> None:
    one, two = run("one"), run("two", {"good": 5.0}, tracks=10, seed=1)
    merged = merge([one, two])
    assert {record.track for record in merged.records} == {f"song {n:02}" for n in range(10)}
    assert {"good (one)", "good (two)", "poor"} <= set(merged.origin)
    assert any("10 tracks" in remark for remark in merged.remarks)
    again = merge([one, one])
    assert "good" in again.origin, "the same results of two folders are one method"


def test_runs_of_other_audio_are_refused(run) -> None:
    other = run("b", settings=Settings("other", "test"), tracks=["x", "y"])
    with pytest.raises(SepbenchError, match="no common track with the same audio: a is of"):
        merge([run("a"), other])
    with pytest.raises(SepbenchError, match="no common track with the same audio"):
        merge([run("a"), run("c", audio="another")])


def test_other_sets_of_stems_are_compared_in_common_windows_or_not_at_all(run) -> None:
    all_records = records(run("a"))
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


def test_whole_track_scores_of_other_sets_are_left_as_they_are_or_out(run) -> None:
    changed = []
    for record in records(run("a", {"good": 6.0, "same": 6.0, "poor": 4.0})):
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


@pytest.mark.slow
def test_the_gate_fails_what_is_surely_worse_and_passes_what_may_be_chance(run) -> None:
    old = records(run("old"))
    new = records(run("new", {**LEVELS, "good": 5.0, "same": 5.97}, seed=5))
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"]}
    failed = {v.condition.split()[0] for v in worse(old, new, 0.1, strict=False, **how) if v.failed}
    assert failed == {"good"}
    assert not any(v.failed for v in worse(old, new, 3.0, strict=True, **how))
    few = [r for r in new if r.track < "song 04"]
    undecided = worse(old, few, 0.1, strict=False, **how)
    assert not any(v.failed for v in undecided)
    assert all("are needed" in v.reason for v in undecided)
    assert any(v.failed for v in worse(old, few, 0.1, strict=True, **how))


def test_a_method_that_fails_everywhere_fails_the_gate(run) -> None:
    tracks = [f"song {n:02}" for n in range(8)]
    old = records(run("old", {"good": 6.0}, tracks))
    new = records(run("new", {"good": 6.0}, tracks, failed=[("good", name) for name in tracks]))
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"], "strict": False}
    (verdict,) = worse(old, new, 0.1, **how)
    assert verdict.failed
    assert "failed on 8 tracks that the old one scored" in verdict.reason


def test_a_method_that_the_new_run_lacks_fails_the_gate_unless_it_is_left_out(run) -> None:
    old = records(run("old", {"good": 6.0, "gone": 5.0}, 8))
    new = records(run("new", {"good": 6.0}, 8))
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"], "strict": True}
    verdicts = worse(old, new, 1.0, **how)
    failed = [verdict.condition.split()[0] for verdict in verdicts if verdict.failed]
    assert failed == ["gone"]
    (verdict,) = worse(old, new, 1.0, methods=["go?d"], **how)
    assert not verdict.failed


def test_the_gate_leaves_out_tracks_whose_audio_differs(run) -> None:
    old = records(run("old", {"good": 6.0}, 8))
    new = [
        replace(record, identity={**record.identity, "audio": "other"})
        if record.track < "song 03"
        else record
        for record in records(run("new", {"good": 6.0}, 8))
    ]
    how = {"protocol": "sisec18", "metric": None, "stems": ["vocals"], "strict": True}
    (verdict,) = worse(old, new, 1.0, **how)
    assert verdict.tracks == 5


def test_songs_of_one_name_in_two_subsets_are_two_songs(run) -> None:
    test = records(run("test", {"good": 6.0, "poor": 4.0}, 3))
    train = [
        replace(record, subset="train")
        for record in records(run("train", {"good": 7.0, "poor": 4.0}, 3, seed=1))
    ]
    vocals = compare([*test, *train], stems=["vocals"])[0]
    assert len(vocals.scores) == 6
    assert vocals.differences[0].tracks == 6
    assert {
        change.tracks for change in diff(test + train, test + train, protocol="mdx").scores
    } == {6}


def test_a_floor_fails_only_where_the_interval_is_below_it(run) -> None:
    here = records(run("a"))
    texts = ("good vocals SDR 3", "good vocals SDR 20", "good vocals SDR 6.8")
    floors = [Floor.parse(text) for text in texts]
    sure = below(here, floors, protocol="sisec18", strict=False, tests=3)
    assert [verdict.failed for verdict in sure] == [False, True, False]
    strict = below(here, floors, protocol="sisec18", strict=True, tests=3)
    assert [verdict.failed for verdict in strict] == [False, True, True]
    with pytest.raises(SepbenchError, match="METHOD STEM METRIC NUMBER"):
        Floor.parse("good 3")
    assert Floor.parse("a b vocals SDR 1").label == "a b"


def test_a_ceiling_is_given_and_shown_in_the_sign_of_its_score(run) -> None:
    floor = Floor.parse("good vocals mrstft-gensvs 99")
    (sure,) = below(records(run("a")), [floor], protocol="mrstft-gensvs", strict=False, tests=1)
    assert not sure.failed
    assert 0 < sure.interval.low < sure.value < sure.interval.high
    assert sure.limit == 99


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


def test_diff_says_which_facts_and_which_scores_changed(run) -> None:
    old = records(run("old", {"good": 6.0, "gone": 1.0}, weights="a"))
    new = records(run("new", {"good": 5.0, "fresh": 1.0}, weights="b", nested={"rate": 1}))
    found = diff(old, new, protocol="sisec18")
    assert (found.only_old, found.only_new) == (["gone"], ["fresh"])
    assert {(c.fact, c.old, c.new, c.tracks) for c in found.changes} == {
        ("weights", "a", "b", 16),
        ("nested.rate", "—", "1", 16),
    }
    vocals = next(row for row in found.scores if row.stem == "vocals")
    assert vocals.value == pytest.approx(-1.0)
    assert vocals.interval.high == pytest.approx(-1.0)
    same = diff(old, old, protocol="sisec18")
    assert not same.changes
    assert not any(row.changed for row in same.scores)
    others = [replace(record, track=f"other {record.track}") for record in old]
    apart = diff(old, others, protocol="sisec18")
    assert (apart.common_tracks, apart.scores) == (0, [])


def test_a_leaderboard_of_scores_within_a_set_keeps_the_other_stems(run) -> None:
    one = run("one", {"four": 5.0}, stems=("vocals", "drums", "bass", "other"))
    two = run("two", {"also": 6.0, "more": 6.0}, stems=("vocals", "accompaniment"))
    board = leaderboard([one, two], protocol="sisec18", metric="SIR")
    cells = {row.label: set(row.cells) for row in board.grid.rows}
    assert cells["four"] == {"drums", "bass", "other"}
    assert cells["also"] == {"vocals", "accompaniment"}


def test_scores_that_no_table_shows_are_not_computed(run, monkeypatch) -> None:
    folder = run("a", {"good": 6.0, "poor": 4.0}, tracks=6)
    seen = []

    def watched(record):
        found = scored(record)
        seen.extend((record.label, record.track, key.stem, key.score) for key in found.keys)
        return found

    monkeypatch.setattr(tables, "scored", watched)
    monkeypatch.setattr("sepbench.report.leaderboard.scored", watched)
    compare(records(folder), metric="SDR", stems=["vocals"])
    assert {(stem, score) for _, _, stem, score in seen} == {("vocals", "SDR")}
    seen.clear()
    leaderboard([folder], protocol="sisec18", metric="SDR")
    protocols = len([one for one in PROTOCOLS.values() if "SDR" in one.metrics])
    assert {score for *_, score in seen} == {"SDR"}
    assert len(seen) == 2 * 6 * len(STEMS) * protocols, "once for each method, track and stem"


def test_a_leaderboard_names_the_methods_that_lack_its_metric(run) -> None:
    folder = run("a", {"good": 6.0, "poor": 4.0}, tracks=6)
    store = Store.open(folder)
    for record in records(folder):
        if record.label == "poor":
            stems = {
                name: replace(result, frames={"SDR": result.frames["SDR"]})
                for name, result in record.stems.items()
            }
            store.save(replace(record, stems=stems))
    notes = leaderboard([folder], protocol="sisec18", metric="SIR").grid.notes
    assert "No SIR of poor." in notes


def test_a_leaderboard_has_every_run_s_methods_with_where_they_come_from(run) -> None:
    one, two = run("one", device="cpu", weights="a" * 64), run("two", {"good": 7.0}, seed=3)
    board = leaderboard([one, two], protocol="sisec18")
    rows = {row.label: row for row in board.grid.rows}
    assert rows["good (two)"].provenance["run"] == "two"
    assert rows["good (one)"].provenance["weights"] == "a" * 12
    assert rows["good (two)"].cells["vocals"].best
    assert not rows["oracle"].cells["vocals"].best, "an oracle is a ceiling, never the best"


def test_a_leaderboard_shows_every_weight_file_and_those_of_an_ensemble_s_members(run) -> None:
    unet = {"method": "unet", "weights": ["b" * 64]}
    chain = {"method": "chain", "weights": [], "members": [unet]}
    members = [{"method": "cdae", "weights": ["d" * 64]}, {"method": "hpss"}, chain]
    several = run("several", {"bag": 6.0}, weights=["a" * 64, "c" * 64])
    ensemble = run("ensemble", {"mean": 7.0}, weights=[], members=members, seed=3)
    board = leaderboard([several, ensemble], protocol="sisec18")
    shown = {row.label: row.provenance["weights"] for row in board.grid.rows}
    assert shown == {"bag": f"{'a' * 12} {'c' * 12}", "mean": f"cdae {'d' * 12}, unet {'b' * 12}"}
