"""Every script in ``benchmarks/`` explains itself, and runs on very small inputs."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"
SHARED = {"compare", "measure", "songs"}
"""Modules that scripts import; they are not scripts themselves."""

SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)

HELP_ALONE = {
    **dict.fromkeys(
        (
            "activity",
            "agreement",
            "bandwidth",
            "excerpts",
            "learned",
            "level",
            "passage",
            "stereo_placement",
        ),
        "needs the songs of a training corpus",
    ),
    **dict.fromkeys(
        "bridges campaign command isolation memory repet_sim road scale sdr spectral store".split(),
        "starts other programs or libraries, which takes long even with a moment of sound",
    ),
    "backing_voices": "needs prepared songs and minutes",
    "grooves": "needs the programs mma and fluidsynth, and sound fonts",
    "labelled": "needs songs that a teacher labelled",
    "stereo_songs": "needs songs with singing, of 80 s or more",
    "learning_curves": "needs a run of training",
    "page": "starts a browser",
    "speed": "changes how its process keeps memory",
    "nussl_checkpoint": "needs a checkpoint of several hundred MB that nussl unpickles",
}
"""Scripts of which only the help is tried, and why."""

RATE = 44100

pytestmark = pytest.mark.filterwarnings("ignore")  # Of the programs that are compared with.

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """A function that runs a script in this process and returns what it printed."""
    monkeypatch.syspath_prepend(FOLDER)
    names = [path.stem for path in FOLDER.glob("*.py")]
    ours = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    threads = torch.get_num_threads()

    def run_one(script: str, *words: object) -> str:
        import measure

        # A new interpreter takes seconds to import torch.
        monkeypatch.setattr(measure, "in_own_process", lambda function, *given: function(*given))
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        runpy.run_path(str(FOLDER / f"{script}.py"), run_name="__main__")
        return capsys.readouterr().out

    yield run_one
    torch.set_num_threads(threads)
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(ours)


@pytest.mark.parametrize("script", SCRIPTS)
def test_its_help_says_what_it_measures(script: str, run: Run) -> None:
    with pytest.raises(SystemExit, match="0"):
        run(script, "--help")


SMALL = {
    "bsseval": (["--seconds", 2, "--stems", 2, "--threads", 1], "equal"),
    "cdae": (["--seconds", 1, "--patience", 0], "one by one"),
    "denoise": (["mixture"], "white"),
    "gabor": (["--seconds", 1, "--threads", 1], "sepbench matrix 2048"),
    "gpu": (
        ["--seconds", 1, "--device", "meta", "--methods", "hpss", "--trained", "mask-cnn"],
        "train mask-cnn",
    ),
    "hpss": (["--seconds", 1, "--threads", 1], "librosa"),
    "ibm_cnn": (["--seconds", 1, "--patience", 0], "times"),
    "intervals": (["--trials", 3], "alarms about equal methods"),
    "mask_cnn": (["--seconds", 1, "--patience", 0], "times"),
    "metrics": (["--seconds", 2, "--stems", 2, "--metrics", "sdr", "silence"], "silence"),
}
"""Words that make a script quick, and what it then prints."""


@pytest.mark.slow
@pytest.mark.parametrize("script", SMALL)
def test_it_runs_on_a_small_song(script: str, run: Run) -> None:
    words, printed = SMALL[script]
    assert printed in run(script, *words)


def test_drums_are_played(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drumkits = importlib.import_module("drumkits")
    monkeypatch.setattr(drumkits, "KITS", ("one kit",))
    monkeypatch.setattr(drumkits, "SONGS", 1)
    monkeypatch.setattr(drumkits, "SECONDS", 4)
    (tmp_path / "one kit").mkdir()
    hit = np.random.default_rng(0).standard_normal(4410) * np.exp(-np.arange(4410) / 441)
    for drum in ("kick", "snare", "hihat"):
        soundfile.write(tmp_path / "one kit" / f"{drum}.wav", 0.1 * hit, RATE)
    monkeypatch.setattr(sys, "argv", ["drumkits", str(tmp_path), "--out", str(tmp_path / "songs")])
    drumkits.main()
    (song,) = (tmp_path / "songs").glob("*/drums.flac")
    assert np.abs(soundfile.read(song)[0]).max() == pytest.approx(0.5, abs=0.01)


def test_listeners_agree_with_a_metric_that_orders_files_as_they_do(
    run: Run, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    lines = ["file,DMOS,good,bad,group"]
    for number in range(40):
        rating = 1 + 4 * number / 39
        row = (rating, rating**3, generator.standard_normal(), "ab"[number % 2])
        lines.append(f"f{number}.wav," + ",".join(map(str, row)))
    table = tmp_path / "ratings.csv"
    table.write_text("\n".join(lines) + "\n")
    rows = [line.split() for line in run("listeners", table).splitlines()]
    assert rows[1][:2] == ["good", "1.00"]
    assert float(rows[2][1]) < 0.5
    assert "Spearman, a (20)" in run("listeners", table, "--by", "group")


def test_no_script_is_forgotten() -> None:
    assert set(SCRIPTS) == {*SMALL, *HELP_ALONE, "drumkits", "listeners"}
