"""What changed between two runs, and the table of several runs."""

from dataclasses import replace

import pytest
from made_runs import STEMS, records

from sepbench.evaluation.store import Store
from sepbench.metrics.protocols import PROTOCOLS
from sepbench.report import tables
from sepbench.report.compare import compare
from sepbench.report.diff import diff
from sepbench.report.leaderboard import leaderboard
from sepbench.report.scored import scored


def test_diff_says_which_facts_and_which_scores_changed(saved) -> None:
    old = records(saved("old", {"good": 6.0, "gone": 1.0}, weights="a"))
    new = records(saved("new", {"good": 5.0, "fresh": 1.0}, weights="b", nested={"rate": 1}))
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


def test_a_leaderboard_of_scores_within_a_set_keeps_the_other_stems(saved) -> None:
    one = saved("one", {"four": 5.0}, stems=("vocals", "drums", "bass", "other"))
    two = saved("two", {"also": 6.0, "more": 6.0}, stems=("vocals", "accompaniment"))
    board = leaderboard([one, two], protocol="sisec18", metric="SIR")
    cells = {row.label: set(row.cells) for row in board.grid.rows}
    assert cells["four"] == {"drums", "bass", "other"}
    assert cells["also"] == {"vocals", "accompaniment"}


def test_scores_that_no_table_shows_are_not_computed(saved, monkeypatch) -> None:
    folder = saved("a", {"good": 6.0, "poor": 4.0}, tracks=6)
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


def test_a_leaderboard_names_the_methods_that_lack_its_metric(saved) -> None:
    folder = saved("a", {"good": 6.0, "poor": 4.0}, tracks=6)
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


def test_a_leaderboard_has_every_run_s_methods_with_where_they_come_from(saved) -> None:
    one, two = (
        saved("one", device="cpu", weights="a" * 64),
        saved("two", {"good": 7.0}, seed=3),
    )
    board = leaderboard([one, two], protocol="sisec18")
    rows = {row.label: row for row in board.grid.rows}
    assert rows["good (two)"].provenance["run"] == "two"
    assert rows["good (one)"].provenance["weights"] == "a" * 12
    assert rows["good (two)"].cells["vocals"].best
    assert not rows["oracle"].cells["vocals"].best, "an oracle is a ceiling, never the best"


def test_a_leaderboard_shows_every_weight_file_and_those_of_an_ensemble_s_members(
    saved,
) -> None:
    unet = {"method": "unet", "weights": ["b" * 64]}
    chain = {"method": "chain", "weights": [], "members": [unet]}
    members = [{"method": "cdae", "weights": ["d" * 64]}, {"method": "hpss"}, chain]
    several = saved("several", {"bag": 6.0}, weights=["a" * 64, "c" * 64])
    ensemble = saved("ensemble", {"mean": 7.0}, weights=[], members=members, seed=3)
    board = leaderboard([several, ensemble], protocol="sisec18")
    shown = {row.label: row.provenance["weights"] for row in board.grid.rows}
    assert shown == {"bag": f"{'a' * 12} {'c' * 12}", "mean": f"cdae {'d' * 12}, unet {'b' * 12}"}
