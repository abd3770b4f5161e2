from __future__ import annotations

import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from sepbench._util.files import write_atomic
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record, StemResult, fingerprint
from sepbench.evaluation.store import Settings, Store, unique_name

NAN = float("nan")


def record(label: str = "hpss", track: str = "A song", **more: object) -> Record:
    stem = StemResult(
        targets=("vocals", "accompaniment"),
        frames={"SDR": [1.0, NAN, 3.123456789012345]},
        totals={"uSDR": 2.0},
        mixture_frames={"SDR": [0.5, 0.5, 0.5]},
        mixture_totals={"uSDR": -1.0},
    )
    plain = {
        "dataset": "excerpt",
        "subset": "test",
        "track": track,
        "label": label,
        "method": label.partition("[")[0],
        "options": {"margin": 1.0},
        "fingerprint": "f",
        "identity": {"method": "hpss"},
        "stems": {"vocals": stem},
        "seconds": 1.5,
        "audio_seconds": 3.0,
        "peak_bytes": 10,
    }
    return Record(**{**plain, **more})  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "run", Settings("excerpt", "test"))


def test_of_two_runs_that_begin_at_once_in_one_folder_one_is_refused(tmp_path: Path) -> None:
    places = [tmp_path / str(number) for number in range(40)]

    def begin(place: Path, duration: float) -> bool:
        try:
            Store.create(place, Settings("excerpt", "test", duration=duration))
        except SepbenchError:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        for place in places:
            begun = threads.map(begin, [place] * 2, [1.0, 2.0])
            assert sorted(begun) == [False, True]


def test_a_run_that_another_process_begins_just_now_is_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has settings and scores after this process saw neither."""
    folder, settings, usual = tmp_path / "run", Settings("excerpt", "test"), Path.is_file
    begun: list[bool] = []

    def is_file(path: Path) -> bool:
        there = usual(path)
        if path == folder / "run.json" and not begun:
            begun.append(True)
            Store.create(folder, settings).save(record())
        return there

    monkeypatch.setattr(Path, "is_file", is_file)
    assert len(Store.create(folder, settings).records()) == 1


def test_a_record_comes_back_to_the_last_digit(store: Store) -> None:
    store.save(record())
    loaded = store.load("hpss", "test", "A song")
    assert loaded is not None
    frames = loaded.stems["vocals"].frames["SDR"]
    assert frames[2] == 3.123456789012345
    assert math.isnan(frames[1])
    assert json.dumps(loaded.identity) == json.dumps(record().identity)
    assert loaded.stems["vocals"].targets == ("vocals", "accompaniment")


def test_a_failure_takes_the_place_of_outdated_scores_and_the_other_way(store: Store) -> None:
    store.save(record())
    failed = record(error="no luck", stems={})
    store.save(replace(failed, identity={**failed.identity, "metrics": ["bsseval"]}))
    assert [found.error for found in store.records()] == [None]  # Its scores are still true.
    store.save(replace(failed, identity={**failed.identity, "weights": ["new"]}))
    assert [found.error for found in store.records()] == ["no luck"]
    assert store.load("hpss", "test", "A song") is None
    store.save(record())
    assert [found.error for found in store.records()] == [None]


def of_metric(name: str, *, audio: str = "a") -> Record:
    identity = {"method": "hpss", "audio": audio, "metrics": ["sdr", name]}
    stem = StemResult(
        targets=("vocals", "accompaniment"),
        frames={f"{name} frames": [1.0, 2.0]},
        totals={"uSDR": 2.0, name: 3.0},
        mixture_totals={name: 4.0},
    )
    return record(identity=identity, stems={"vocals": stem})


def test_processes_that_score_a_song_by_different_metrics_keep_the_scores_of_all(
    store: Store,
) -> None:
    names = [f"metric{number}" for number in range(6)]
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda name: Store(store.folder).save(of_metric(name)), names))
    (kept,) = store.records()
    assert kept.identity["metrics"] == [*names, "sdr"]
    assert kept.fingerprint == fingerprint(kept.identity)
    scores = kept.stems["vocals"]
    assert scores.totals == {"uSDR": 2.0} | dict.fromkeys(names, 3.0)
    assert scores.mixture_totals == dict.fromkeys(names, 4.0)
    assert scores.frames == {f"{name} frames": [1.0, 2.0] for name in names}


def test_scores_of_other_audio_or_another_version_of_a_metric_are_not_kept(store: Store) -> None:
    store.save(of_metric("level"))
    store.save(of_metric("level 2"))
    (kept,) = store.records()
    assert kept.identity["metrics"] == ["sdr", "level 2"]
    store.save(of_metric("silence", audio="b"))
    (kept,) = store.records()
    assert set(kept.stems["vocals"].totals) == {"uSDR", "silence"}


@pytest.mark.parametrize("damage", ["", "{", '{"targets": []}', '{"sepbench": {"track": 1}}', "[]"])
def test_a_damaged_record_is_as_good_as_absent(store: Store, damage: str) -> None:
    store.save(record())
    (path,) = store.folder.glob("scores/*/*/*.json")
    path.write_text(damage)
    assert store.load("hpss", "test", "A song") is None
    assert list(store.records()) == []
    assert store.contents()[1] == [path]


@pytest.mark.parametrize(
    ("before", "after"),
    [('"frames":{', '"frames":{"XYZ":["high"],'), ('"seconds":', '"seconds":"long","x":')],
)
def test_scores_that_are_no_numbers_are_damage(store: Store, before: str, after: str) -> None:
    store.save(record())
    (path,) = store.folder.glob("scores/*/*/*.json")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    assert store.load("hpss", "test", "A song") is None


def test_scores_without_their_settings_are_not_joined_by_others(store: Store) -> None:
    store.save(record())
    (store.folder / "run.json").unlink()
    with pytest.raises(SepbenchError, match=r"scores but no run\.json"):
        Store.create(store.folder, Settings("excerpt", "test"))


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        "{}",
        '{"dataset": 1, "subset": 2, "start": "x"}',
        '{"dataset": "a", "subset": "b", "start": 1e999, "duration": null}',
    ],
)
def test_damaged_settings_are_one_line(store: Store, damage: str) -> None:
    (store.folder / "run.json").write_text(damage)
    with pytest.raises(SepbenchError, match="damaged"):
        Store.create(store.folder, Settings("excerpt", "test"))


def test_names_that_no_folder_can_bear_stay_apart(store: Store) -> None:
    names = ["a/b", "a_b", "a\\b", "..", "../..", "é🎵", "x" * 300, "x" * 301, " "]
    for name in names:
        store.save(record(track=name))
    assert sorted(found.track for found in store.records()) == sorted(names)
    inside = store.folder / "scores" / "hpss" / "test"
    assert len(list(inside.iterdir())) == len(names)


def test_the_order_of_records_is_not_that_of_their_making(store: Store) -> None:
    for label, track in [("b", "2"), ("a", "2"), ("b", "1"), ("a", "1")]:
        store.save(record(label, track))
    assert [(r.track, r.label) for r in store.records()] == [
        ("1", "a"), ("1", "b"), ("2", "a"), ("2", "b"),
    ]  # fmt: skip


def test_a_folder_holds_scores_of_one_setting(store: Store) -> None:
    again = Store.create(store.folder, Settings("excerpt", "test"))
    assert again.settings == store.settings
    with pytest.raises(SepbenchError, match="other settings"):
        Store.create(store.folder, Settings("excerpt", "test", duration=3.0))


def test_a_folder_of_runs_names_those_that_are_in_it(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="evaluate --out"):
        Store.open(tmp_path)
    for name in "ba":
        Store.create(tmp_path / name, Settings("excerpt", "test"))
    with pytest.raises(SepbenchError) as error:
        Store.open(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: no run here; there are {tmp_path / 'a'}, {tmp_path / 'b'}"
    )


def test_a_write_that_fails_leaves_the_old_file_and_no_scraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.json"
    write_atomic(path, "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SepbenchError, match=r"kept\.json: cannot write: No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_museval_reads_the_store(store: Store, museval: object) -> None:
    store.save(record())
    store.save(record(track="Another"))
    read = museval.EvalStore()  # type: ignore[attr-defined]
    read.add_eval_dir(store.folder / "scores" / unique_name("hpss"))
    medians = read.agg_frames_scores()
    assert medians["A song", "vocals", "SDR"] == pytest.approx((1 + 3.123456789012345) / 2)


def test_a_score_that_was_changed_by_hand_is_damaged(store: Store) -> None:
    store.save(record())
    (path,) = store.folder.glob("scores/*/*/*.json")
    text = path.read_text()
    head, mark, ours = text.rpartition('"sepbench": ')
    changed = re.sub(r"\d\.\d", "9.9", ours, count=1)
    assert changed != ours
    path.write_text(head + mark + changed)
    assert store.contents() == ([], [path])
    path.write_text(text)
    assert [one.label for one in store.records()] == ["hpss"]
    # Other programs may lay a file out anew, but not change it.
    plain = json.loads(text)
    path.write_text(json.dumps(plain, indent=2))
    assert [one.label for one in store.records()] == ["hpss"]
    plain["sepbench"]["seconds"] = 0.1
    path.write_text(json.dumps(plain, indent=2))
    assert store.contents() == ([], [path])
    # A file from before digests were kept is read as it is.
    path.write_text(re.sub(',\n"sha256": "[0-9a-f]{64}"', "", text))
    assert json.loads(path.read_text()).keys() == {"targets", "sepbench"}
    assert [one.label for one in store.records()] == ["hpss"]


def test_a_file_in_the_place_of_another_track_or_method_counts_for_neither(store: Store) -> None:
    store.save(record())
    (path,) = store.folder.glob("scores/*/*/*.json")
    track = path.with_name("copy of it.json")
    method = store.folder / "scores/copied" / path.parent.name / path.name
    method.parent.mkdir(parents=True)
    for copied in (track, method):
        copied.write_bytes(path.read_bytes())
    records, damaged = store.contents()
    assert [one.track for one in records] == ["A song"]
    assert sorted(damaged) == sorted([track, method])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("method hpss[margin=2] failed: ValueError: no luck", "ValueError: no luck"),
        ("method hpss[margin=2]: took over 5 s", "took over 5 s"),
        ("method hpss: option margin=2: too much", "option margin=2: too much"),
        ("method hpss[margin=2] ran out of memory", "ran out of memory"),
        ("method hpss2 failed: of another", "method hpss2 failed: of another"),
        ("song.wav: cannot be read", "song.wav: cannot be read"),
    ],
)
def test_old_runs_name_the_method_in_their_errors(store: Store, error: str, reason: str) -> None:
    store.save(record("hpss[margin=2]", error=error))
    (file,) = store.folder.glob("failures/*/*/*.json")
    file.write_text(file.read_text().partition(',\n"sha256"')[0] + "}\n")
    (kept,) = store.records()
    assert kept.error == reason


def test_a_folder_of_tables_says_what_to_give_instead(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("track\n")
    with pytest.raises(SepbenchError, match="its tables are of other runs: give those"):
        Store.open(tmp_path)
