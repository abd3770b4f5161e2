"""Stems and scores that other programs made, in one table with those of methods."""

import json
from pathlib import Path

import pytest
from commands import run
from simulated_run import QUICK, RUN, rows, short_song

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.mark.slow
def test_stems_of_any_origin_get_the_scores_that_their_method_got() -> None:
    words = ("--dataset", "simulated", "--track", "*-000")
    assert run("evaluate", "-m", "hpss", *words, "--save-stems", "--no-isolate").exit_code == 0
    store = Path("results/simulated-test")
    result = run("score", store / "stems/hpss", "--references", "simulated", "--name", "from files")
    assert result.exit_code == 0, result.output
    values: dict[str, list[str]] = {}
    for row in rows(store / "scores.csv"):
        values.setdefault(row["label"], []).append(row["value"])
    assert values["from files"] == values["hpss"]


@pytest.mark.slow
def test_estimates_that_do_not_fit_are_fixed_and_reported_or_refused() -> None:
    import numpy as np
    import soundfile

    for stem in ("vocals", "accompaniment"):
        short_song(f"songs/one/{stem}.wav")
    samples, rate = soundfile.read("songs/one/vocals.wav")
    Path("est/one").mkdir(parents=True)
    soundfile.write("est/one/vocals.wav", samples[:-500, :1], rate)
    soundfile.write("est/one/instrumental.wav", np.repeat(samples, 2, axis=0), rate * 2)
    result = run("score", "est", "--references", "songs")
    assert result.exit_code == 0, result.output
    assert "vocals.wav: mono, copied to 2 channels" in result.output
    assert "vocals.wav: 500 samples of silence added" in result.output
    assert "instrumental.wav: resampled from 16000 to 8000 Hz" in result.output
    soundfile.write("est/one/vocals.wav", samples[:-5000], rate)
    result = run("score", "est", "--references", "songs")
    assert result.exit_code == 1
    assert "at most 1024 may differ" in result.output


@pytest.mark.slow
def test_scores_that_museval_wrote_stand_in_the_same_table() -> None:
    run("evaluate", "-m", "mixture", *QUICK)
    frames = [
        {
            "time": float(second),
            "duration": 1.0,
            "metrics": {"SDR": 5.0 + second, "ISR": 9.0, "SIR": 8.0, "SAR": float("nan")},
        }
        for second in range(3)
    ]
    (track,) = {row["track"] for row in rows(RUN / "scores.csv")}
    Path("theirs/test").mkdir(parents=True)
    text = json.dumps({"targets": [{"name": "vocals", "frames": frames}]})
    Path("theirs/test", f"{track}.json").write_text(text)
    result = run("report", RUN, "--import", "theirs=theirs")
    assert result.exit_code == 0, result.output
    (row,) = [
        row
        for row in rows(RUN / "scores.csv")
        if (row["label"], row["metric"], row["protocol"]) == ("theirs", "SDR", "sisec18")
    ]
    assert float(row["value"]) == 6.0
    assert row["improvement"]


def test_a_method_whose_scores_are_imported_may_have_options_in_its_name() -> None:
    frames = [
        {"time": 0.0, "duration": 1.0, "metrics": dict.fromkeys(("SDR", "ISR", "SIR", "SAR"), 5)}
    ]
    text = json.dumps({"targets": [{"name": "vocals", "frames": frames}]})
    Path("at=here/test").mkdir(parents=True)
    Path("at=here/test/song.json").write_text(text)
    names = ["unet[wiener=0]", "ensemble[unet+cdae[semitones=-0.5]]", "open[ a"]
    words = [word for name in names for word in ("--import", f"{name}=at=here")]
    result = run("report", "mine", *words)
    assert result.exit_code == 0, result.output
    assert {row["label"] for row in rows(Path("mine/scores.csv"))} == set(names)


@pytest.mark.slow
def test_imported_scores_never_take_the_place_of_a_method_s_own() -> None:
    run("evaluate", "-m", "mixture", *QUICK)
    (own,) = RUN.glob("scores/mixture/*/*.json")
    before = own.read_bytes()
    result = run("report", RUN, "--import", f"mixture={own}")
    assert result.exit_code == 2
    assert "its own method 'mixture'; import them by another NAME" in result.output
    assert own.read_bytes() == before
    (RUN / "theirs.json").write_text('{"targets": [{"name": 5, "frames": []}]}')
    assert "JSON file of museval" in run("report", RUN, "--import", f"x={RUN}/theirs.json").output


@pytest.mark.slow
def test_a_report_of_no_run_says_what_is_there_instead() -> None:
    run("evaluate", "-m", "mixture", *QUICK)
    assert "a file; give the folder of a run" in run("report", RUN / "run.json").output
    (own,) = RUN.glob("scores/mixture/*/*.json")
    own.write_text("")
    assert f"{own}: damaged" in run("report", RUN).output


def test_a_folder_called_as_a_stem_is_no_estimate() -> None:
    short_song("songs/a/vocals.wav")
    Path("est/a/vocals.wav").mkdir(parents=True)
    result = run("score", "est", "--references", "songs")
    assert result.exit_code == 2
    assert "no stems of any of 1 tracks" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("text", ["theirs", "=theirs", "theirs=", " =theirs"])
def test_imported_scores_need_a_name_and_a_place(text: str) -> None:
    run("evaluate", "-m", "mixture", *QUICK)
    result = run("report", RUN, "--import", text)
    assert result.exit_code == 2
    assert "write it as NAME=PATH" in result.output


@pytest.mark.slow
def test_stems_of_others_cannot_take_the_name_of_a_method_of_the_run() -> None:
    words = ("--dataset", "simulated", "--track", "*-000")
    run("evaluate", "-m", "mixture", *words, "--save-stems", "--no-isolate")
    stems = "results/simulated-test/stems/mixture"
    result = run("score", stems, "--references", "simulated")
    assert result.exit_code == 2
    assert "choose --name" in result.output
