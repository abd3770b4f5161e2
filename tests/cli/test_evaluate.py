from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import interruptible, run
from simulated_run import QUICK, RUN, rows, short_song

from sepbench.evaluation.store import Store
from sepbench.registry.metrics import protocol

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.mark.slow
def test_an_evaluation_leaves_scores_tables_and_pictures() -> None:
    result = run("evaluate", "-m", "mixture", "-m", "oracle-irm", *QUICK)
    assert result.exit_code == 0, result.output
    assert "protocol sisec18" in result.output
    scores = rows(RUN / "scores.csv")
    assert {row["protocol"] for row in scores} == {"sisec18", "mean", "mdx", "si-sdr"}
    vocals = {
        row["method"]: float(row["value"])
        for row in scores
        if row["stem"] == "vocals" and row["protocol"] == "mdx"
    }
    assert vocals["oracle-irm"] > vocals["mixture"] + 5
    assert (RUN / "boxplot.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (RUN / "boxplot.svg").read_bytes()
    costs = {row["method"]: row for row in rows(RUN / "summary.csv")}
    assert float(costs["mixture"]["seconds_per_second"]) > 0


@pytest.mark.slow
def test_a_report_makes_the_same_tables_again_from_the_store() -> None:
    run("evaluate", "-m", "mixture", *QUICK)
    names = ("scores.csv", "summary.csv", "boxplot.svg")
    before = [(RUN / name).read_bytes() for name in names]
    for name in names:
        (RUN / name).unlink()
    assert run("report", RUN).exit_code == 0
    assert [(RUN / name).read_bytes() for name in names] == before


@pytest.mark.slow
def test_stems_for_the_page_are_made_with_the_settings_of_the_run() -> None:
    run("evaluate", "-m", "oracle-irm", *QUICK, "--targets", "musdb")
    store = Store.open(RUN)

    def facts() -> list[object]:
        """The settings, and the costs that the evaluation measured."""
        return [
            (one.identity, one.stems["drums"].targets, one.seconds, one.peak_bytes)
            for one in store.records()
        ]

    before = facts()
    assert run("report", RUN, "--page", "--listen", 1).exit_code == 0
    assert list(RUN.rglob("drums.wav"))
    assert facts() == before


@pytest.mark.slow
def test_json_holds_what_the_table_shows() -> None:
    result = run("evaluate", "-m", "mixture", *QUICK, "--json")
    facts = json.loads(result.stdout)
    assert Path(facts["run"]) == RUN
    assert {row["label"] for row in facts["summary"]} == {"mixture"}


@pytest.mark.slow
def test_a_configuration_gives_defaults_and_the_command_line_wins() -> None:
    Path("run.yaml").write_text(
        "method: ['mixture[gain=1,0.5]']\ndataset: simulated\ntrack: '*-000'\n"
        "duration: 3\nisolate: false\n"
    )
    assert run("evaluate", "--config", "run.yaml").exit_code == 0
    assert {row["label"] for row in rows(RUN / "scores.csv")} == {"mixture", "mixture[gain=0.5]"}
    result = run("evaluate", "--config", "run.yaml", "-m", "mixture", "--duration", 2)
    assert result.exit_code == 0, result.output
    assert {r["label"] for r in rows(Path("results/simulated-test-2s/scores.csv"))} == {"mixture"}
    Path("run.yaml").write_text(Path("run.yaml").read_text().replace("method", "all: true #"))
    result = run("evaluate", "--config", "run.yaml", "-m", "mixture", "--duration", 1)
    assert result.exit_code == 0, result.output
    assert {r["label"] for r in rows(Path("results/simulated-test-1s/scores.csv"))} == {"mixture"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metod: mixture", "unknown key 'metod'; did you mean 'method'?"),
        ("method:", "method: give a word or number"),
        ("method: {name: mixture}", "method: give a word or number"),
        ("- mixture", "write it as 'option: value' lines"),
        ("method: [mixture", "not YAML: line 1: "),
        ("method: " + "[" * 3000, "brackets are nested too deeply"),
        ("start: [1, 2]", "start: give one value, not a list"),
        ("duration: long", "'long' is not a valid number"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(text: str, message: str) -> None:
    Path("run.yaml").write_text(text)
    result = run("evaluate", "--config", "run.yaml")
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("name", ["", "none.yaml", "."])
def test_a_configuration_that_is_not_there_is_met_with_those_that_are(name: str) -> None:
    result = run("evaluate", "--config", name)
    assert result.exit_code == 2
    assert "give a file or one of: excerpt, musdb18" in result.output


def test_every_shipped_configuration_is_understood() -> None:
    from importlib.resources import files

    names = [item.name for item in (files("sepbench_configs") / "benchmark").iterdir()]
    assert "excerpt.yaml" in names
    for name in names:
        result = run("evaluate", "--config", name.removesuffix(".yaml"), "--root", "nowhere")
        assert result.exit_code == 2
        assert "unknown key" not in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either --all or -m METHOD"),
        (["--all", "-m", "mixture"], "either --all or -m METHOD"),
        (["-m", "mixtur"], "did you mean 'mixture'"),
        (["-m", "mixture", "--dataset", "exerpt"], "did you mean 'excerpt'"),
        (["-m", "mixture", "--dataset", "musdb18", "--root", "nowhere"], "not found"),
        (["-m", "mixture", "--track", "no such song"], "no such song"),
        (["-m", "mixture", "--subset", "train"], "train"),
        (["-m", "mixture", "--device", "cuda:9"], "this machine has cpu"),
        (["-m", "mixture", "--start", "100"], "cannot start at 100 s"),
        (["-m", "mixture", "--duration", "nan"], "nan is not a number of seconds"),
        (["-m", "mixture", "--timeout", "9"], "which --no-isolate (isolate=False) does not start"),
        (["-m", "hpss[margin=inf]"], "must be a finite number"),
    ],
)
def test_what_cannot_be_done_says_what_can(words: list[str], message: str) -> None:
    result = run("evaluate", *words, *(["--no-isolate"] if words else []))
    assert result.exit_code in (1, 2)
    assert message in result.output


@pytest.mark.slow
def test_the_folder_has_the_same_short_name_in_every_command() -> None:
    short_song("songs/a/vocals.wav")
    short_song("est/a/vocals.wav")
    assert run("evaluate", "-m", "mixture", *QUICK, "-o", "one").exit_code == 0
    assert Path("one/scores.csv").is_file()
    assert run("score", "est", "--references", "songs", "-o", "two").exit_code == 0
    assert Path("two/scores.csv").is_file()
    assert run("plugin", "new", "fresh", "-o", "three").exit_code == 0
    assert Path("three/pyproject.toml").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["separate", "-m", "mixture", ""],
        ["separate", "-m", "mixture", "song.wav", "-o", ""],
        ["evaluate", "-m", "mixture", "-o", ""],
        ["evaluate", "-m", "mixture", "--root", " "],
        ["score", "", "--references", "excerpt"],
        ["score", "est", "--references", ""],
        ["score", "est", "--references", "excerpt", "--name", ""],
        ["report", ""],
        ["prepare", "", "-o", "out"],
        ["train", "unet", "-d", ""],
        ["weights", "import", "nussl", "", "-o", "w.safetensors"],
    ],
)
def test_an_empty_name_is_never_the_folder_one_is_in(words: list[str]) -> None:
    short_song("song.wav")
    result = run(*words)
    assert result.exit_code == 2
    assert "the name is empty" in result.output
    assert [path.name for path in Path().iterdir()] == ["song.wav"]


@pytest.mark.slow
def test_scores_of_other_settings_are_not_mixed_in() -> None:
    run("evaluate", "-m", "mixture", *QUICK, "--out", "here")
    result = run("evaluate", "-m", "mixture", "--out", "here")
    assert result.exit_code == 2
    assert "other settings" in result.output


@pytest.mark.slow
def test_a_track_that_is_broken_is_a_row_with_its_reason() -> None:
    run("separate", "-m", "mixture", short_song("songs/good/mixture.wav"), "-o", "made")
    for song in ("good", "bad"):
        for stem in ("vocals", "drums"):
            short_song(f"songs/{song}/{stem}.wav")
    Path("songs/bad/drums.wav").write_text("no audio")
    result = run(
        "evaluate", "-m", "mixture", "-m", "mixture[gain=0.5]", "--dataset", "folder",
        "--root", "songs", "--subset", "all", "--no-isolate",
    )  # fmt: skip
    assert result.exit_code == 1
    scores = rows(Path("results/folder-songs-all/scores.csv"))
    assert {row["track"] for row in scores if row["error"]} == {"bad"}
    assert {row["track"] for row in scores if not row["error"]} == {"good"}
    assert len({row["method"] + row["options"] for row in scores if row["error"]}) == 2
    (line,) = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert "bad" in line


@pytest.mark.slow
def test_what_is_wrong_with_songs_of_the_user_is_reported_once() -> None:
    for song in ("a", "b", "c"):
        for stem in ("vocals", "drums", "cover") if song != "c" else ("vocals",):
            short_song(f"songs/{song}/{stem}.wav")
    words = ("--dataset", "folder", "--root", "songs", "--no-isolate")
    result = run("evaluate", "-m", "mixture", "-m", "mixture[gain=0.5]", *words)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    left_out = "cover.wav: left out, its name is not a stem"
    assert lines.count(f"warning: a (and 1 more): {left_out}") == 1
    assert lines.count("warning: c: no drums, which other songs have") == 1


@pytest.mark.slow
def test_a_stem_that_estimates_lack_for_some_songs_only_is_reported() -> None:
    for song in ("a", "b"):
        for stem in ("vocals", "drums"):
            short_song(f"songs/{song}/{stem}.wav")
    for stem in ("a/vocals", "a/drums", "b/vocals"):
        short_song(f"est/{stem}.wav")
    result = run("score", "est", "--references", "songs")
    assert "warning: no drums of 1 of 2 tracks, 'b' the first" in result.output
    Path("est/a/drums.wav").unlink()
    assert "no drums" not in run("score", "est", "--references", "songs").output


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (("--metric", "SIR"), "no metric 'SIR'; it is a score of the metric bsseval"),
        (
            ("--metric", "si-sdr"),
            "no metric 'si-sdr'; it is a score of the metric sdr and of nussl",
        ),
        (("--protocol", "SI-SDR"), "no protocol 'SI-SDR'; did you mean 'si-sdr'?"),
        (("--protocol", "uSDR"), "no protocol 'uSDR'; it is a score of mdx"),
        (("--protocol", "SIR"), "no protocol 'SIR'; it is a score of sisec18, mean, pooled"),
    ],
)
def test_a_score_given_for_a_metric_or_a_protocol_is_named_with_its_own(
    words: tuple[str, ...], cure: str
) -> None:
    refused = run("evaluate", "-m", "mixture", *words, "-o", "here")
    assert refused.exit_code == 2
    assert refused.output == f"error: {cure}\n"


def test_an_unknown_protocol_is_refused_before_anything_is_run() -> None:
    refused = run("evaluate", "-m", "mixture", "--protocol", "sisec", "-o", "here")
    assert refused.exit_code == 2
    assert refused.output == "error: no protocol 'sisec'; did you mean 'sisec18'?\n"
    unlike = run("evaluate", "-m", "mixture", "--protocol", "x").output
    offered = unlike.partition("choose ")[2].strip().split(", ")
    assert {"mdx", "fullness"} <= set(offered)
    assert all(protocol(name) for name in offered)
    assert not Path("here").exists()


def test_a_device_that_is_not_there_leaves_no_folder() -> None:
    short_song("songs/a/vocals.wav")
    short_song("est/a/vocals.wav")
    for words in (["evaluate", "-m", "mixture"], ["score", "est", "--references", "songs"]):
        assert "--device auto" in run(*words, "--device", "gpu").output
        assert not Path("results").exists()


@pytest.mark.slow
def test_a_run_that_cannot_begin_leaves_nothing_and_a_method_that_fails_is_a_row() -> None:
    import torch

    from sepbench.weights import container

    Path("words.safetensors").write_text("words")
    before = list(Path().iterdir())
    for file in ("words", "none"):
        result = run("evaluate", "-m", f"unet[weights={file}.safetensors]", *QUICK)
        assert result.exit_code == 2
        assert f"{file}.safetensors: " in result.output
        assert list(Path().iterdir()) == before
    result = run("evaluate", "-m", "mixture", "-m", "unet[weights=none.safetensors]", *QUICK)
    assert result.exit_code == 1
    errors = {row["method"]: row["error"] for row in rows(RUN / "scores.csv")}
    assert not errors["mixture"]
    assert "none.safetensors: " in errors["unet"]
    said = {"method": "unet", "model": {"rate": 8000}, "context": 0, "trained_on": []}
    container.save(Path("odd.safetensors"), {"a": torch.zeros(1)}, said)
    result = run("evaluate", "-m", "mixture", "-m", "unet[weights=odd.safetensors]", *QUICK)
    assert result.exit_code == 1
    errors = {row["method"]: row["error"] for row in rows(RUN / "scores.csv")}
    assert not errors["mixture"]
    assert "does not describe a network" in errors["unet"]


@pytest.mark.slow
def test_lines_and_rows_of_a_failure_name_the_method_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from sepbench_plugins.mixture import Mixture

    def fail(*_: object) -> None:
        raise ValueError("no luck")

    monkeypatch.setattr(Mixture, "separate", fail)
    result = run("evaluate", "-m", "mixture", *QUICK)
    assert result.exit_code == 1
    told = [line for line in result.output.splitlines() if "no luck" in line]
    assert told, result.output
    assert [line.count("mixture") for line in told] == [1] * len(told)
    assert {row["error"] for row in rows(RUN / "scores.csv")} == {"ValueError: no luck"}
    assert {row["error"] for row in rows(RUN / "summary.csv")} == {"ValueError: no luck"}


@pytest.mark.slow
def test_a_protocol_without_scores_is_reported_and_has_no_picture() -> None:
    result = run("evaluate", "-m", "mixture", *QUICK, "--protocol", "nussl")
    assert "no scores of protocol nussl in this run" in result.output
    assert "warning" not in result.output
    assert not (RUN / "boxplot-nussl.png").exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
def test_an_interrupt_from_the_keyboard_is_nobody_s_failure() -> None:
    words = ["evaluate", "-m", "repet-sim[recipe=librosa]", "--dataset", "simulated", "--jobs", "2"]
    command = interruptible(*words, "--metric", "bsseval")
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while not Path("results/simulated-test/run.json").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert b"the same command resumes" in told
    assert not list(Path("results").rglob("failures/**/*.json"))


@pytest.mark.slow
def test_published_scores_are_refused_with_the_reason_where_they_do_not_fit() -> None:
    result = run("evaluate", "-m", "mixture", *QUICK, "--reference", "sisec18")
    assert result.exit_code == 0
    assert "simulated" in result.output
    assert not [row for row in rows(RUN / "scores.csv") if row["published"] == "True"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_run_that_is_killed_resumes_to_the_same_table() -> None:
    words = ["evaluate", "-m", "mixture[gain=1,0.5,0.25]", "--dataset", "simulated"]
    command = [sys.executable, "-c", "from sepbench.cli.main import main; main()", *words]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "COLUMNS": "80"})
    store = Path("results/simulated-test")
    whole = (store / "scores.csv").read_bytes()
    shutil.rmtree(store)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not list(store.glob("scores/*/*/*.json")) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    before = {path: path.stat().st_mtime_ns for path in store.glob("scores/*/*/*.json")}
    assert before
    subprocess.run(command, check=True, capture_output=True)
    assert (store / "scores.csv").read_bytes() == whole
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not list(store.rglob("*.part"))


@pytest.mark.slow
def test_a_wrong_card_is_a_row_beside_the_others_and_alone_the_end() -> None:
    alone = run("evaluate", "-m", "onnx[nowhere.yaml]", *QUICK)
    assert alone.exit_code == 2
    assert "error: nowhere.yaml: no such file" in alone.output
    assert not Path("results").exists()
    result = run("evaluate", "-m", "onnx[nowhere.yaml]", "-m", "mixture", *QUICK)
    assert result.exit_code == 1
    assert "onnx[nowhere.yaml] failed on 1 track: nowhere.yaml: no such file" in result.output
    errors = {row["method"]: row["error"] for row in rows(RUN / "scores.csv")}
    assert errors["mixture"] == ""
    assert errors["onnx"].startswith("nowhere.yaml: no such file")
