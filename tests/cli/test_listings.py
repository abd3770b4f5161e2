"""``sepbench data`` and ``sepbench methods``: what is here, all about one, and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commands import run

from sepbench import registry
from sepbench.registry.metadata import overview


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """A folder of one song for each of two subsets, in the layout of MUSDB18-HQ."""
    for subset, song in (("train", "A - One"), ("test", "B - Two")):
        folder = tmp_path / "hq" / subset / song
        folder.mkdir(parents=True)
        for stem in ("mixture", "drums", "bass", "other", "vocals"):
            soundfile.write(folder / f"{stem}.wav", np.zeros((4410, 2)), 44100)
    return tmp_path / "hq"


@pytest.fixture(autouse=True)
def nothing_at_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SEPBENCH_DATA", str(tmp_path / "data"))
    for variable in ("MUSDB_PATH", "MUSDBHQ_PATH", "DSD100_PATH"):
        monkeypatch.delenv(variable, raising=False)


def test_all_data_sets_are_listed_with_what_is_here() -> None:
    listed = {facts["name"]: facts for facts in json.loads(run("data", "--json").stdout)}
    assert listed["excerpt"]["available"]
    assert listed["simulated"]["available"]
    assert not listed["musdb18-hq"]["available"]
    shown = run("data").stdout.splitlines()
    for name, facts in listed.items():
        (line,) = [line for line in shown if line.split()[0] == name]
        assert line.split()[1] == ("yes" if facts["available"] else "no")


def test_a_data_set_that_is_here_says_where_and_lists_its_tracks(songs: Path) -> None:
    shown = run("data", "musdb18-hq", "--root", songs)
    assert shown.exit_code == 0, shown.output
    assert f"found:    {songs}" in shown.stdout
    assert "  train     A - One\n  test      B - Two\n" in shown.stdout
    facts = json.loads(run("data", "musdb18-hq", "--root", songs, "--json").stdout)
    assert facts["tracks"] == [
        {"name": "A - One", "subset": "train"},
        {"name": "B - Two", "subset": "test"},
    ]


def test_a_data_set_that_is_not_here_says_how_to_get_it_and_where_it_was_looked_for() -> None:
    shown = run("data", "musdb18-hq")
    assert shown.exit_code == 0
    assert "found:    no" in shown.stdout
    assert "https://zenodo.org/records/3338373" in shown.stdout
    assert "MUSDB18HQ" in shown.stdout.split("looked:")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("musdb18-hq", "--download"), "cannot be fetched from here. Unzip musdb18hq.zip"),
        (("musdb",), "musdb18"),
        (("--root", "."), "give its NAME"),
        (("--download",), "give its NAME"),
        (("excerpt", "--root", "."), "built in; leave --root out"),
    ],
)
def test_what_data_cannot_do_is_one_line_with_the_cure(
    words: tuple[str, ...], message: str
) -> None:
    refused = run("data", *words)
    assert refused.exit_code != 0
    assert message in refused.output
    assert "Traceback" not in refused.output


def test_one_method_is_shown_with_every_option_and_its_range() -> None:
    shown = run("methods", "hpss")
    assert shown.exit_code == 0, shown.output
    facts = json.loads(run("methods", "hpss", "--json").stdout)
    assert facts["stems"] == ["harmonic", "percussive", "residual"]
    for option in facts["options"]:
        assert f"  {option['name']}={option['default']}  {option['help']}" in shown.stdout
    for text in (facts["summary"], facts["license"], facts["citation"], "harmonic, percussive"):
        assert text in shown.stdout
    assert "(one of soft, hard" in shown.stdout


def test_a_method_that_cannot_run_yet_shows_its_options_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path))
    for name, option in (("demucs", "shifts=0"), ("mdx-net", "denoise=False")):
        shown = run("methods", name)
        assert shown.exit_code == 0
        assert "not available: " in shown.output
        assert f"  {option}  " in shown.output
    facts = json.loads(run("methods", "demucs", "--json").output)
    assert facts["available"] is False
    assert facts["stems"] == ["vocals", "drums", "bass", "other"]


def test_a_method_with_options_is_described_as_it_would_run() -> None:
    shown = run("methods", "ensemble[mixture+repet-sim]")
    assert shown.exit_code == 0, shown.output
    assert "members:" in shown.stdout
    assert "mixture, repet-sim" in shown.stdout
    oracle = json.loads(run("methods", "oracle-irm[power=1]", "--json").stdout)
    assert oracle["oracle"]
    assert "evaluate only" in run("methods", "oracle-irm").stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hps", "did you mean 'hpss'?"),
        ("hpss[margin=1,2]", "give each option one value"),
        ("hpss[margn=1]", "margin"),
        ("", "method '': write it as NAME"),
    ],
)
def test_a_wrong_name_of_a_method_is_one_line_with_the_cure(name: str, message: str) -> None:
    refused = run("methods", name)
    assert refused.exit_code != 0
    assert message in refused.output
    assert "Traceback" not in refused.output


BRACKETS = "needs sepbench[musdb] in [/usr/lib]"
"""What rich would take for markup, and refuse."""


def test_a_broken_data_set_is_listed_with_its_whole_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"name": "broken", "available": False, "reason": BRACKETS}
    here = {"name": "here", "available": True, "reason": None}
    texts = {"summary": f"songs: {BRACKETS}", "license": "MIT [/x]"}
    monkeypatch.setattr("sepbench.datasets.listing", lambda: [broken, {**here, **texts}])
    shown = run("data")
    assert shown.exit_code == 0, shown.output
    for text in (f"not available: {BRACKETS}", *texts.values()):
        assert text in shown.stdout


def test_methods_are_listed_with_brackets_in_their_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.plugin("mixture")
    facts = {**overview(entry), "summary": BRACKETS}
    monkeypatch.setattr(registry, "plugins", lambda: [entry])
    monkeypatch.setattr("sepbench.cli.methods.overview", lambda _: facts)
    shown = run("methods")
    assert shown.exit_code == 0, shown.output
    assert BRACKETS in shown.stdout


def test_a_weight_file_is_listed_with_brackets_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    row: dict[str, Any] = {
        "method": "unet[weights=w[new].safetensors]", "file": "w[new].safetensors", "size": None,
        "terms": "MIT [/x]", "state": "here", "from": "[/usr/lib]",
    }  # fmt: skip
    monkeypatch.setattr("sepbench.registry.weight_status.weight_status", lambda _: [row])
    shown = run("weights", "list", "unet")
    assert shown.exit_code == 0, shown.output
    words = ("method", "file", "terms", "from")
    assert all(f" {row[word]} " in f" {shown.stdout} " for word in words)


def test_layers_are_not_for_programs() -> None:
    refused = run("methods", "unet", "--layers", "--json")
    assert refused.exit_code == 2
    assert "leave --json out" in refused.output
    assert not refused.stdout
