from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_runs import make_run

from sepbench.evaluation.museval_json import import_museval
from sepbench.evaluation.store import Settings, Store
from sepbench.report import index as indexes
from sepbench.report import tables
from sepbench.report.build import write
from sepbench.report.choice import Choice
from sepbench.report.index import NAME, Index
from sepbench.report.scored import scored

LEVELS = {"unet": 5.0, "hpss[margin=2]": 1.0, "oracle-irm": 9.0}


@pytest.fixture
def run(tmp_path: Path) -> Store:
    return make_run(tmp_path / "run", LEVELS, 7, failed=[("unet", "song 03")])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The JSON files that an index has read since."""
    read, seen = Store.read, []
    monkeypatch.setattr(Store, "read", lambda self, path: seen.append(path) or read(self, path))
    return seen


def tables_of(store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    with Index(store) as index:
        index.update()
        tracks, damaged = index.contents()
        assert damaged == []
        return tables.score_table(tracks), tables.summary_table(tracks, index)


def test_tables_from_the_index_are_those_from_the_records(run) -> None:
    for _ in range(2):  # As it is made, and as it is read again.
        scores, summary = tables_of(run)
        pd.testing.assert_frame_equal(scores, tables.scores(run.records()))
        pd.testing.assert_frame_equal(summary, tables.summary(run.records()))


def test_only_new_and_changed_files_are_read(run, reads) -> None:
    tables_of(run)
    assert len(reads) == 21
    reads.clear()
    tables_of(run)
    assert reads == []
    changed = next(record for record in run.records() if record.track == "song 05")
    os.utime(run._path("scores", changed.label, "test", "song 05"), ns=(1, 1))
    make_run(run.folder, {"cdae": 2.0}, ["song 00", "song 01"])
    reads.clear()
    scores, _ = tables_of(run)
    assert sorted({path.stem for path in reads}) == ["song 00", "song 01", "song 05"]
    assert set(scores.loc[scores["label"].eq("cdae"), "track"]) == {"song 00", "song 01"}


def test_what_is_gone_or_done_again_is_not_in_the_tables_any_more(run) -> None:
    tables_of(run)
    for record in run.records():
        if record.label == "hpss[margin=2]" and record.track == "song 02":
            run.remove(record)
    make_run(run.folder, {"unet": 7.0}, ["song 03"])  # It failed before.
    scores, summary = tables_of(run)
    pd.testing.assert_frame_equal(scores, tables.scores(run.records()))
    pd.testing.assert_frame_equal(summary, tables.summary(run.records()))
    assert not summary["failed"].any()


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 5000, b""])
def test_an_index_that_cannot_be_used_is_made_again(run, content) -> None:
    (run.folder / NAME).write_bytes(content)
    scores, _ = tables_of(run)
    pd.testing.assert_frame_equal(scores, tables.scores(run.records()))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_index_changes_no_table(run, seed: int) -> None:
    before = [table.to_csv() for table in tables_of(run)]
    chosen = np.random.default_rng(seed)
    content = bytearray((run.folder / NAME).read_bytes())
    for _ in range(8):
        content[chosen.integers(4096, len(content))] ^= 1 << int(chosen.integers(8))
    (run.folder / NAME).write_bytes(content)
    assert [table.to_csv() for table in tables_of(run)] == before


def test_an_index_of_another_version_is_made_again(run, reads, monkeypatch) -> None:
    tables_of(run)
    monkeypatch.setattr(indexes, "_FORMAT", "another")
    tables_of(run)
    assert len(reads) == 42


def test_two_processes_may_add_to_an_index_at_the_same_time(run, monkeypatch) -> None:
    """Neither ends: the later one, which waits in vain, has an index of its own in memory."""
    monkeypatch.setattr(indexes, "_PATIENCE", 0.1)
    written = [(record, run.save(record)) for record in run.records()[:2]]
    with Index(run) as one, Index(run) as other:
        for index in (one, other):
            for record, stamp in written:
                index.add(record, stamp)
        for index in (one, other):
            index.update()
            tracks, damaged = index.contents()
            assert (len(tracks), damaged) == (len(run.records()), [])
    with closing(sqlite3.connect(run.folder / NAME)) as kept:
        assert kept.execute("SELECT count(*) FROM files").fetchone() == (len(run.records()),)


def test_without_a_place_for_the_index_there_are_tables_all_the_same(run) -> None:
    (run.folder / NAME).mkdir()
    scores, _ = tables_of(run)
    pd.testing.assert_frame_equal(scores, tables.scores(run.records()))


@pytest.mark.slow
def test_a_damaged_file_is_named_until_it_is_whole(run, reads) -> None:
    path = run._path("scores", "unet", "test", "song 01")
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    report = write(run, protocol="sisec18")
    assert any("song 01.json: damaged, left out" in remark for remark in report.remarks)
    assert any("song 01.json" in remark for remark in write(run, protocol="sisec18").remarks)
    path.write_bytes(whole)
    assert not any("damaged" in remark for remark in write(run, protocol="sisec18").remarks)


def test_files_of_before_are_read_and_museval_finds_its_part(run) -> None:
    path = run._path("scores", "unet", "test", "song 01")
    plain = json.loads(path.read_text())
    assert [target["name"] for target in plain["targets"]] == ["vocals", "accompaniment"]
    before = run.records()
    path.write_text(json.dumps(plain, indent=1))
    assert run.records() == before


@pytest.mark.slow
def test_a_choice_of_stems_has_a_summary_of_its_own(run, tmp_path) -> None:
    whole = write(run, protocol="sisec18").summary
    part = write(
        run, protocol="sisec18", choice=Choice(("unet",), (), ("vocals",)), out=tmp_path / "part"
    ).summary
    expected = whole[whole["label"].eq("unet") & whole["stem"].eq("vocals")]
    pd.testing.assert_frame_equal(part, expected.reset_index(drop=True))


@pytest.mark.slow
def test_parts_of_a_run_in_several_folders_are_one_row(tmp_path) -> None:
    songs = [f"song {n:02}" for n in range(8)]
    whole = make_run(tmp_path / "whole", LEVELS, songs, spread=0)
    parts = [make_run(tmp_path / f"part{n}", LEVELS, songs, spread=0) for n in range(2)]
    for n, part in enumerate(parts):
        for record in part.records():
            if songs.index(record.track) % 2 != n:
                part.remove(record)
    # A cell that two parts have, made alike, counts once.
    parts[1].save(parts[0].records()[0])
    report = write(parts[0], protocol="sisec18", others=parts[1:], out=tmp_path / "out")
    assert report.remarks == []
    pd.testing.assert_frame_equal(report.scores, tables.scores(whole.records()))
    pd.testing.assert_frame_equal(report.summary, tables.summary(whole.records()))


@pytest.mark.slow
def test_runs_with_other_scores_of_the_same_tracks_stay_apart(tmp_path) -> None:
    one = make_run(tmp_path / "one", {"unet": 5.0, "cdae": 1.0}, 3)
    other = make_run(tmp_path / "other", {"unet": 6.0, "hpss": 1.0}, 3)
    report = write(one, protocol="sisec18", others=[other], out=tmp_path / "out")
    assert list(report.summary["label"].unique()) == ["cdae", "hpss", "unet", "unet (other)"]


def test_imported_scores_are_museval_s_text_and_are_not_read_again(tmp_path, reads) -> None:
    rows = [{"time": float(n), "duration": 1.0, "metrics": metrics(n)} for n in range(3)]
    file = tmp_path / "test" / "song.json"
    file.parent.mkdir()
    text = json.dumps({"targets": [{"name": "vocals", "frames": rows}]}, indent=2)
    file.write_text(f"{text}\n")
    run = Store.create(tmp_path / "run", Settings("own", "test"))
    with Index(run) as index:
        for record, stamp in import_museval({"theirs": [file]}, run):
            index.add(record, stamp)
        index.update()
        assert reads == []
        (one,), damaged = index.contents()
    assert damaged == []
    (kept,) = run.records()
    assert kept.stems["vocals"].frames["SDR"] == pytest.approx(
        [5.0, float("nan"), 7.0], nan_ok=True
    )
    np.testing.assert_array_equal(one.values, scored(kept).values)
    assert (run.folder / run.file(kept)).read_text().startswith(text.removesuffix("\n}"))


def test_a_file_that_another_has_written_meanwhile_is_read(run, reads) -> None:
    with Index(run) as index:
        index.update()
        record = run.records()[0]
        stamp = run.save(replace(record, seconds=1.0))
        run.save(replace(record, seconds=2.0, notes=("by another",)))
        reads.clear()
        index.add(replace(record, seconds=1.0), stamp)
        index.update()
        (found,) = [
            one.record
            for one in index.contents()[0]
            if (one.record.label, one.record.track) == (record.label, record.track)
        ]
    assert len(reads) == 1
    assert found.seconds == 2.0


def metrics(second: int) -> dict[str, float]:
    sdr = float("nan") if second == 1 else 5.0 + second
    return {"SDR": sdr, "ISR": 9.0, "SIR": float("inf"), "SAR": 1.0}


def test_a_file_replaced_within_a_tick_of_the_clock_is_read_again(run) -> None:
    before, _ = tables_of(run)
    record = next(record for record in run.records() if record.error is None)
    path = run.folder / run.file(record)
    old = os.stat(path)
    stem = next(iter(record.stems))
    frames = {"SDR": [9.0] * len(record.stems[stem].frames["SDR"])}
    run.save(replace(record, stems={stem: replace(record.stems[stem], frames=frames)}))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    after, _ = tables_of(run)
    assert not after.equals(before)


@pytest.mark.slow
def test_a_run_whose_data_set_was_changed_by_hand_is_named(run) -> None:
    assert not any("run.json" in remark for remark in write(run, protocol="sisec18").remarks)
    settings = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps({**settings, "dataset": "another"}))
    remarks = write(run, protocol="sisec18").remarks
    said = f"run.json names the data set another, the scores are of {settings['dataset']}"
    assert [remark for remark in remarks if said in remark]


def test_a_score_stands_before_the_failure_of_a_copied_part(tmp_path) -> None:
    one = make_run(tmp_path / "one", {"unet": 5.0}, 2, failed=[("unet", "song 01")])
    other = make_run(tmp_path / "other", {"unet": 5.0}, 2)
    shutil.copytree(other.folder, one.folder, dirs_exist_ok=True)
    assert len(list(one.folder.rglob("song 01.json"))) == 2
    assert [record.error for record in one.records()] == [None, None]
    report = write(one, protocol="sisec18")
    assert set(report.summary["failed"]) == {0}
    assert not report.remarks
