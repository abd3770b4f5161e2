from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from made_runs import make_run
from rich.progress import Progress, TaskID

from sepbench.cli.main import main


@pytest.fixture
def sepbench(tmp_path):
    """Return a function that runs a verb on the runs "old" and "new": exit code and output."""
    make_run(tmp_path / "old", {"good": 6.0, "poor": 4.0}, 10)
    make_run(tmp_path / "new", {"good": 5.0, "poor": 4.0}, 10)

    def run(*words):
        words = [str(tmp_path / word) if word in ("old", "new") else word for word in words]
        found = CliRunner().invoke(main, [str(word) for word in words])
        assert found.exception is None or isinstance(found.exception, SystemExit)
        return found.exit_code, found.stdout

    return run


def test_compare_prints_differences_and_writes_pictures(sepbench, tmp_path) -> None:
    code, text = sepbench("compare", "old", "--stem", "vocals")
    assert code == 0
    assert "baseline" in text
    assert "-1.97 -2.35..-1.28" in text
    names = {path.name for path in (tmp_path / "old" / "compare").iterdir()}
    assert "differences-vocals-SDR-sisec18.png" in names
    assert "critical-difference-vocals-SDR-sisec18.svg" in names


def test_the_songs_on_which_a_method_is_worst_and_best_are_named(sepbench, tmp_path) -> None:
    code, text = sepbench("compare", "old", "--stem", "vocals", "--json")
    assert code == 0
    (comparison,) = json.loads(text)["comparisons"]
    (poor,) = comparison["differences"]
    folder = tmp_path / "old" / "scores"
    scores = {
        label: {
            path.stem: json.loads(path.read_text()) for path in (folder / label).rglob("*.json")
        }
        for label in ("good", "poor")
    }

    def sdr(label, track):
        (vocals,) = (t for t in scores[label][track]["targets"] if t["name"] == "vocals")
        return np.median([frame["metrics"]["SDR"] for frame in vocals["frames"]])

    true = {track: sdr("poor", track) - sdr("good", track) for track in scores["poor"]}
    found = {each["track"]: each["value"] for each in poor["by_track"]}
    assert list(found) == sorted(true, key=true.__getitem__)
    assert found == pytest.approx(true)
    order = list(found)
    _, text = sepbench("compare", "old", "--stem", "vocals", "-v")
    assert f"poor: worst on {order[0]} {found[order[0]]:+.2f}, {order[1]} " in text
    assert f"; best on {order[-1]} {found[order[-1]]:+.2f}, {order[-2]} " in text


def test_methods_without_a_track_in_common_have_no_difference(sepbench, tmp_path) -> None:
    for label, half in (("good", slice(5)), ("poor", slice(5, None))):
        for file in sorted((tmp_path / "old" / "scores" / label).rglob("*.json"))[half]:
            file.unlink()
    code, text = sepbench("compare", "old", "--stem", "vocals")
    assert code == 0
    assert "nan" not in text


@pytest.mark.slow
def test_a_loss_fails_the_build_and_a_run_against_itself_does_not(sepbench, tmp_path) -> None:
    code, text = sepbench("compare", "old", "new", "--fail-worse", "0.1", "--stem", "vocals")
    assert code == 1
    assert "FAIL  good vocals" in text
    assert "pass  poor vocals" in text
    assert sepbench("compare", "old", "old", "--fail-worse", "0", "--strict")[0] == 0
    assert sepbench("compare", "new", "--fail-below", "good vocals SDR 99")[0] == 1
    assert sepbench("compare", "new", "--fail-worse", "1")[0] == 2


def test_the_verdict_on_one_track_has_no_interval_and_no_brackets(sepbench, tmp_path) -> None:
    make_run(tmp_path / "short", {"good": 5.0}, 1)
    code, text = sepbench("compare", tmp_path / "short", "--fail-below", "good vocals SDR 4")
    assert code == 0
    assert text.startswith("open  good vocals SDR at least 4  +")
    assert "[" not in text


@pytest.mark.slow
def test_json_of_compare_and_diff_is_whole(sepbench) -> None:
    code, text = sepbench("compare", "old", "new", "--fail-worse", "0.1", "--json")
    plain = json.loads(text)
    assert code == 1
    assert {each["stem"] for each in plain["comparisons"]} == {"vocals", "accompaniment"}
    assert sum(verdict["failed"] for verdict in plain["verdicts"]) == 2
    plain = json.loads(sepbench("diff", "old", "new", "--json")[1])
    losses = {row["label"]: row["value"] for row in plain["scores"] if row["stem"] == "vocals"}
    assert losses == pytest.approx({"good": -1.0, "poor": 0.0})


@pytest.mark.slow
def test_report_and_leaderboard_print_a_table_alone(sepbench, tmp_path) -> None:
    assert sepbench("report", "old", "--format", "markdown")[1].startswith("| method | vocals")
    assert sepbench("leaderboard", "old", "new", "--format", "latex")[1].startswith("% needs")
    out = tmp_path / "board.csv"
    assert sepbench("leaderboard", "old", "new", "--format", "csv", "-o", out)[0] == 0
    assert "good (new)" in out.read_text()


def test_leaderboard_prints_json(sepbench) -> None:
    status, printed = sepbench("leaderboard", "old", "new", "--json")[:2]
    assert status == 0
    rows = json.loads(printed)["rows"]
    assert {"good (old)", "good (new)"} <= {row["label"] for row in rows}


@pytest.mark.slow
def test_parts_of_one_run_are_compared_like_the_whole(sepbench, tmp_path) -> None:
    levels = {"good": 6.0, "poor": 4.0}
    make_run(tmp_path / "whole", levels, 6, spread=0.0)
    songs = [f"song {n:02}" for n in range(6)]
    parts = [tmp_path / "whole" / "scores", *(tmp_path / f"part{n}" for n in (1, 2))]
    for part, own in zip(parts[1:], (songs[::2], songs[1::2]), strict=True):
        make_run(part, levels, own)
        for label in levels:
            for song in own:
                file = f"{label}/test/{song}.json"
                (part / "scores" / file).write_bytes((parts[0] / file).read_bytes())
    _, whole = sepbench("compare", tmp_path / "whole", "--json")
    empty = make_run(tmp_path / "part3", {}).folder  # There were fewer songs than parts.
    code, text = sepbench("compare", *parts[1:], empty, "--json")
    assert code == 0
    assert json.loads(text)["comparisons"] == json.loads(whole)["comparisons"]
    code, text = sepbench("compare", *parts[1:], "--fail-below", "poor vocals SDR 9", "--json")
    assert (code, json.loads(text)["verdicts"][0]["tracks"]) == (1, 6)
    assert sepbench("compare", *parts[1:], "--fail-worse", "0")[0] == 2


def test_other_songs_of_a_method_under_one_name_are_no_part(sepbench, tmp_path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    make_run(one, {"good": 6.0}, ["a"])
    make_run(other, {"poor": 4.0}, ["a"], audio="b")
    assert sepbench("compare", one, other)[0] == 2


def test_a_run_of_one_method_and_an_oracle_says_that_oracles_are_left_out(tmp_path) -> None:
    make_run(tmp_path / "run", {"good": 6.0, "oracle-irm": 9.0}, 4)
    found = CliRunner().invoke(main, ["compare", str(tmp_path / "run")])
    assert found.exit_code == 2
    assert "by two methods, oracles left out (--method names them); choose" in found.output
    both = ["compare", str(tmp_path / "run"), "-m", "good", "-m", "oracle*"]
    assert CliRunner().invoke(main, both).exit_code == 0


@pytest.mark.parametrize(
    ("verb", "steps"),
    [
        ("compare", ["reading scores", "comparing", "drawing pictures"]),
        ("diff", ["reading scores", "comparing"]),
        ("leaderboard", ["merging scores"]),
    ],
)
def test_on_a_terminal_long_commands_show_what_they_do(
    sepbench, monkeypatch: pytest.MonkeyPatch, verb: str, steps: list[str]
) -> None:
    shown: list[str] = []
    update = Progress.update

    def seen(self: Progress, task: TaskID, **facts: Any) -> None:
        shown.append(facts["description"])
        update(self, task, **facts)

    monkeypatch.setattr(Progress, "update", seen)
    assert sepbench(verb, "old", "new")[0] == 0
    assert shown == steps
