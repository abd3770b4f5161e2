"""Scores of museval that become a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sepbench.cli.main import main

STEMS = ("vocals", "drums", "bass", "other")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_museval_s_scores_become_a_run_of_their_own() -> None:
    from sepbench.evaluation.store import Store

    frames = [
        {"time": 0, "duration": 1, "metrics": dict.fromkeys(("SDR", "SIR", "ISR", "SAR"), 4.0)}
    ]
    names = ("vocals", "accompaniment", "drums", "bass", "other")
    text = json.dumps({"targets": [{"name": name, "frames": frames} for name in names]})
    for track in ("AM Contra - Heart Peripheral", "Al James - Schoolboy Facination"):
        Path("theirs/test").mkdir(parents=True, exist_ok=True)
        Path("theirs/test", f"{track}.json").write_text(text)
    words = ["report", "fresh", "--import", "x=theirs", "--reference", "sisec18"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    stems = Store.open(Path("fresh")).records()[0].stems
    assert stems["vocals"].targets == ("vocals", "accompaniment")
    assert set(stems["drums"].targets) == set(STEMS)
    result = CliRunner().invoke(main, [*words, "--protocol", "mean"])
    assert "published SiSEC18 scores exist only for the protocol sisec18" in result.output
    assert Path("fresh/boxplot.png").exists()
    result = CliRunner().invoke(main, ["report", "fresh", "--stem", "drums", "-o", "chosen"])
    assert result.exit_code == 0, result.output
    assert "drums" in Path("chosen/summary.csv").read_text()
    assert "vocals," not in Path("chosen/summary.csv").read_text().replace("vocals+", "")


@pytest.mark.parametrize("odd", ["5", True, [1, 2], {}])
def test_a_score_of_museval_that_is_no_number_is_refused(odd: object) -> None:
    frame = {"metrics": {"SDR": odd, "SIR": 1.0, "ISR": 1.0, "SAR": 1.0}}
    write_museval([("vocals", [frame])])
    assert "not a JSON file of museval" in imported()


@pytest.mark.parametrize("there", [True, False])
def test_scores_that_are_not_imported_make_no_run(there: bool) -> None:
    if there:
        write_museval([("vocals", [{"metrics": {}}])])
    imported()
    assert not Path("out").exists()


def test_a_stem_under_two_names_in_one_file_of_museval_is_refused() -> None:
    frame = {"metrics": dict.fromkeys(("SDR", "SIR", "ISR", "SAR"), 1.0)}
    write_museval([("vocals", [frame]), ("Voice", [frame])])
    assert "a stem has two lists of scores" in imported()


@pytest.mark.parametrize(
    ("length", "step", "what"),
    [(2, 1.5, "windows of 2 s"), (1, 0.5, "windows that are 0.5 s apart")],
)
def test_scores_of_other_windows_than_a_second_are_refused(length, step, what) -> None:
    metrics = dict.fromkeys(("SDR", "SIR", "ISR", "SAR"), 1.0)
    frames = [{"time": step * n, "duration": length, "metrics": metrics} for n in range(3)]
    write_museval([("vocals", frames)])
    assert f"theirs/A.json: scores of {what}, where those of a run are of 1 s" in imported()


def write_museval(targets: list[tuple[str, list[object]]]) -> None:
    Path("theirs").mkdir()
    plain = {"targets": [{"name": name, "frames": frames} for name, frames in targets]}
    Path("theirs/A.json").write_text(json.dumps(plain))


def imported() -> str:
    result = CliRunner().invoke(main, ["report", "out", "--import", "X=theirs"])
    assert result.exit_code == 2
    return result.output
