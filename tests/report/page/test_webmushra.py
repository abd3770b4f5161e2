"""Listening tests of webMUSHRA: its trials and its tables of ratings."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from made_runs import make_run

from sepbench.errors import SepbenchError
from sepbench.report import ratings
from sepbench.report.page.clips import loudness
from sepbench.report.page.webmushra import write_webmushra
from sepbench.report.webmushra_results import keep_names, sessions

from .conftest import NAMES, RATE, MadeTrack, made_tracks


def test_webmushra_gets_a_trial_with_every_method_equally_loud(made_run, tmp_path) -> None:
    files = write_webmushra(made_run, made_tracks(), tmp_path, songs=1)
    test = yaml.safe_load(files[0].read_text())
    order, *trials = test["pages"][1]
    assert order == "random"
    assert [set(trial["stimuli"]) for trial in trials] == [
        {"good", "poor", " b onclick=bad() [x=1]"}
    ] * 2
    assert all(trial["strict"] for trial in trials)
    # Its parser of YAML, yaml.js, takes these for a text, and cannot read keys of several lines.
    assert not [line for line in files[0].read_text().splitlines() if line.lstrip()[:3] == "- -"]
    assert len(files[0].read_text().splitlines()) == 6 + 1 + 1 + 2 + len(trials) + 1
    # It sends ratings in a form without encoding.
    sent = [trial["id"] for trial in trials] + [name for t in trials for name in t["stimuli"]]
    assert not set("&<>+%\"'") & set("".join(sent))
    loud, kinds = [], set()
    for trial in trials[:1]:
        for name in [trial["reference"], *trial["stimuli"].values()]:
            samples, rate = soundfile.read(tmp_path / name, dtype="float32")
            loud.append(loudness(samples.T, rate))
            kinds.add((samples.shape, rate))
    assert np.ptp(loud) < 0.1
    # Its validator refuses sounds of other lengths, rates or channels than the reference's, and
    # sounds of more than 12 s.
    ((length, _), rate) = kinds.pop()
    assert not kinds
    assert length <= 12 * rate


def test_songs_of_one_name_are_told_apart_in_webmushra(tmp_path) -> None:
    store = make_run(tmp_path / "run", {"good": 8.0}, ["song"])
    for record in store.records():
        store.save(replace(record, subset="train"))
    tracks = [MadeTrack("song", subset, "some", (), ()) for subset in ("test", "train")]
    for track in tracks:
        folder = store.stems_folder("good", track.subset, "song")
        folder.mkdir(parents=True)
        soundfile.write(folder / "vocals.wav", track.load().mixture.T, RATE)
    files = write_webmushra(store, tracks, tmp_path, songs=2)
    trials = yaml.safe_load(files[0].read_text())["pages"][1][1:]
    assert {trial["name"] for trial in trials} == {"vocals: song (test)", "vocals: song (train)"}


def results(path: Path, test: dict, said: dict[str, int], listener: str = "0b1e-5") -> Path:
    """Write the table of ratings that webMUSHRA writes of a test, with a rating by stimulus."""
    _, *trials = test["pages"][1]
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            head = "session_test_id session_uuid trial_id rating_stimulus rating_score"
            writer.writerow([*head.split(), "rating_time", "rating_comment"])
        for trial in trials:
            for name in (*trial["stimuli"], "reference", "anchor35"):
                row = ["sepbench", listener, trial["id"], name, said.get(name, 50), 1234, ""]
                writer.writerow(row)
    return path


def test_ratings_of_webmushra_come_back_under_the_names_of_the_run(made_run, tmp_path) -> None:
    files = write_webmushra(made_run, made_tracks(), tmp_path, songs=2)
    test = yaml.safe_load(files[0].read_text())
    table = results(tmp_path / "mushra.csv", test, {"good": 80, "reference": 100, "anchor35": 10})
    results(table, test, {"good": 60, "reference": 95, "anchor35": 20}, "77aa")
    ratings.add([table], made_run.folder, {(one.track, one.label) for one in made_run.records()})
    said = ratings.table(made_run.folder)
    assert set(said["listener"]) == {"0b1e-5", "77aa"}
    assert set(said["track"]) <= set(NAMES)
    assert set(said["stem"]) == {"vocals", "accompaniment"}
    assert set(said[said["kind"] == "method"]["source"]) == {
        "good",
        "poor",
        "<b onclick=bad()>[x=1]",
    }
    assert set(said[said["source"] == "good"]["rating"]) == {80, 60}
    assert set(said[said["kind"] == "anchor"]["rating"]) == {10, 20}
    for file in (made_run.folder / "ratings").iterdir():
        file.unlink()


def test_a_test_exported_again_without_a_method_keeps_the_ratings_of_the_first(tmp_path) -> None:
    store = make_run(tmp_path / "run", {"m[a+b]": 8.0, "m[a&b]": 6.0, "bad": 0.0}, ["song"])
    (track,) = [MadeTrack("song", "test", "some", (), ())]
    for record in store.records():
        folder = store.stems_folder(record.label, "test", "song")
        folder.mkdir(parents=True)
        soundfile.write(folder / "vocals.wav", track.load().mixture.T, RATE)

    def exported_test() -> dict:
        files = write_webmushra(store, [track], tmp_path / "test", songs=1)
        sounds = set((tmp_path / "test").rglob("*.wav"))
        assert sounds == set(files[1:])
        return yaml.safe_load(files[0].read_text())

    first = exported_test()
    said = dict(zip(["m[a b]", "m[a b] (2)", "bad"], [80, 60, 20], strict=True))
    assert {*first["pages"][1][1]["stimuli"]} == {*said}
    table = results(tmp_path / "mushra.csv", first, said)
    before = list(sessions(table, store.folder))
    for record in store.records():
        if record.label in ("m[a&b]", "bad"):
            store.remove(record)
    results(table, exported_test(), said, "77aa")
    assert next(sessions(table, store.folder)) == before[0]
    ratings.add([table], store.folder)
    rated = ratings.table(store.folder)
    assert set(rated[rated["source"] == "m[a&b]"]["listener"]) == {"0b1e-5"}
    for label in ("m[a+b]", "m[a&b]", "bad"):
        assert rated[rated["source"] == label]["rating"].nunique() == 1


def test_a_table_of_ratings_may_have_been_saved_by_a_spreadsheet(made_run, tmp_path) -> None:
    test = yaml.safe_load(
        write_webmushra(made_run, made_tracks(), tmp_path, songs=1)[0].read_text()
    )
    table = results(tmp_path / "mushra.csv", test, {"good": 80})
    known = list(sessions(table, made_run.folder))
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    assert list(sessions(table, made_run.folder)) == known


def test_a_session_that_was_sent_twice_counts_once(made_run, tmp_path) -> None:
    test = yaml.safe_load(
        write_webmushra(made_run, made_tracks(), tmp_path, songs=1)[0].read_text()
    )
    table = results(tmp_path / "mushra.csv", test, {"good": 80})
    known = list(sessions(table, made_run.folder))
    heading, *rows = table.read_text().splitlines()
    table.write_text("\n".join([heading, *rows, *rows]))
    assert list(sessions(table, made_run.folder)) == known
    table.write_text("\n".join([heading, *rows, *rows]).replace("80", "70", 1))
    with pytest.raises(SepbenchError, match=r"line \d+: 0b1e-5 rates 'good' of .* second time"):
        list(sessions(table, made_run.folder))


@pytest.mark.slow
@pytest.mark.parametrize("score", ["loud", "nan", "inf", "-1", "101"])
def test_a_rating_outside_the_scale_is_refused_by_line(made_run, tmp_path, score: str) -> None:
    test = yaml.safe_load(
        write_webmushra(made_run, made_tracks(), tmp_path, songs=1)[0].read_text()
    )
    table = results(tmp_path / "mushra.csv", test, {"good": 80})
    table.write_text(table.read_text().replace("80", score, 1))
    with pytest.raises(SepbenchError, match=f"line \\d+: '{score}' is no rating from 0 to 100"):
        list(sessions(table, made_run.folder))


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"t": 1}', '{"t": {"methods": {"a": 1}, "track": "x"}}', "[" * 99999]
)
def test_a_damaged_list_of_trials_is_one_line_and_not_overwritten(tmp_path, text: str) -> None:
    (tmp_path / "webmushra.json").write_text(text)
    with pytest.raises(SepbenchError, match=r"webmushra\.json: damaged; delete it and export"):
        keep_names(tmp_path, {})
    assert (tmp_path / "webmushra.json").read_text() == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "no column session_uuid; give results/sepbench/mushra.csv"),
        ("", "no column session_uuid"),
        ("session_uuid,trial_id,rating_stimulus,rating_score\n", "no ratings; nobody has"),
        (
            "session_uuid,trial_id,rating_stimulus,rating_score\nx,trial 9,unet,50\n",
            "line 2: 'unet' of 'trial 9' is in no test of",
        ),
    ],
)
def test_other_tables_are_one_line(made_run, tmp_path, content: str, message: str) -> None:
    table = tmp_path / "mushra.csv"
    table.write_text(content)
    with pytest.raises(SepbenchError, match=message) as caught:
        ratings.add([table], made_run.folder)
    assert "\n" not in str(caught.value)


def test_a_run_without_kept_stems_says_how_to_get_some(made_run, tmp_path) -> None:
    from made_runs import make_run

    bare = make_run(tmp_path / "bare", {"good": 1.0}, 2)
    with pytest.raises(SepbenchError, match="--listen 5"):
        write_webmushra(bare, [MadeTrack("song 00", "test", "some", (), ())], tmp_path, songs=1)
