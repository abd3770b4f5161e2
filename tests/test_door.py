from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from click.testing import CliRunner

import sepbench
from sepbench.cli.main import main

ROOT = Path(__file__).parent.parent
NOISE = np.random.default_rng(0).normal(0, 0.1, (2, 2, 16000)).astype(np.float32)


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_import_is_light_and_every_name_is_there() -> None:
    program = """
import sys, time
start = time.process_time()
import sepbench
assert time.process_time() - start < 0.1
heavy = {"torch", "pandas", "numpy", "soundfile", "click"} & set(sys.modules)
assert not heavy, heavy
assert sepbench.methods() and sepbench.datasets() and sepbench.Separator and sepbench.option
assert {"torch", "pandas", "matplotlib"}.isdisjoint(sys.modules)
assert all(getattr(sepbench, name) for name in sepbench.__all__)
"""
    python(program)


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sepbench", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"sepbench, version {sepbench.__version__}\n"


def test_stems_keep_length_and_channels_and_sum_to_the_song() -> None:
    song = NOISE.sum(0)
    stems = sepbench.separate(song, rate=8000, method="hpss")
    assert {stem.shape for stem in stems.values()} == {song.shape}
    np.testing.assert_allclose(sum(stems.values()), song, atol=1e-6)
    alone = sepbench.separate(song, rate=8000, method="hpss", stems=("percussive",))
    np.testing.assert_array_equal(alone["percussive"], stems["percussive"])


@pytest.mark.parametrize(
    ("song", "rate", "message"),
    [
        (NOISE[0], None, "give rate"),
        (NOISE[0], 0, "must be a whole number of Hz"),
        ((NOISE[0] * 1000).astype(np.int16), 8000, "x / 32768"),
        (NOISE[0] * np.nan, 8000, "NaN or infinity"),
        (NOISE[0].T, 8000, "give \\(channels, samples\\)"),
        (np.zeros((0, 8000)), 8000, "give \\(channels, samples\\)"),
        (torch.ones(2, 800, requires_grad=True), 8000, "song: not an array: Can't call numpy"),
        (np.zeros((2, 0)), 8000, "give \\(channels, samples\\)"),
        (NOISE[0], "x", "must be a whole number of Hz"),
        (NOISE[0], np.inf, "must be a whole number of Hz"),
        (NOISE[0], 1e12, "must be a whole number of Hz from 1000 to 1000000"),
        (NOISE[0], 10**30, "must be a whole number of Hz from 1000 to 1000000"),
        (NOISE[0], True, "must be a whole number of Hz from 1000 to 1000000"),
        (NOISE[0], np.array([8000, 8000]), "must be a whole number of Hz from 1000 to 1000000"),
        ("nowhere.wav", None, "nowhere.wav"),
    ],
)
def test_what_is_not_a_song_is_one_line(song: object, rate: Any, message: str) -> None:
    with pytest.raises(sepbench.SepbenchError, match=message):
        sepbench.separate(song, rate=rate, method="hpss")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": []}, "no methods; name some"),
        ({"timeout": 9, "isolate": False}, "a timeout ends a method's process"),
        ({"metric": "sdr"}, "no argument 'metric'; did you mean 'metrics'"),
        ({"metrics": "nosuch"}, "no metric 'nosuch'"),
        ({"methods": None}, "methods=None: give a name, or a list of names"),
        ({"methods": [None]}, r"methods=\[None\]: give a name"),
        ({"dataset": ""}, "dataset='': give a path"),
        ({"root": 5}, "root=5: give a path"),
        ({"tracks": 5}, "tracks=5: give a name"),
        ({"tracks": "nosuch*"}, r"matches 'nosuch\*'"),
        ({"metrics": None}, "metrics=None: give a name"),
        ({"start": None}, "a part begins at 0 s or later"),
        ({"start": np.nan}, "a part begins at 0 s or later"),
        ({"duration": np.inf}, "a part begins at 0 s or later"),
        ({"duration": "1"}, "a part begins at 0 s or later"),
        ({"duration": 10**400}, "a part begins at 0 s or later"),
        ({"methods": pd.Series(["nosuch", "hpss"])}, "no method 'nosuch'"),
        ({"methods": pd.Series([1, 2])}, "methods=0 1 1 2 dtype: int64: give a name"),
        ({"tracks": np.array("nosuch")}, r"tracks=array\('nosuch'.*\): give a name"),
        ({"jobs": 0}, "jobs=0: give a whole number from 1 on"),
        ({"jobs": 1.5}, "jobs=1.5: give a whole number from 1 on"),
        ({"shard": (0, 2)}, r"shard=\(0, 2\): give \(I, N\)"),
        ({"shard": (1, 0)}, r"shard=\(1, 0\): give \(I, N\)"),
        ({"targets": "nosuch"}, "targets='nosuch': give 'largest' or 'musdb'"),
        ({"timeout": -1}, "timeout=-1: give seconds above 0"),
        ({"devices": ("nosuch",)}, "device 'nosuch' is not available"),
    ],
)
def test_a_wrong_argument_of_evaluate_is_one_line(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(sepbench.SepbenchError, match=message):
        sepbench.evaluate(**{"methods": ["mixture"], **arguments}, out=tmp_path / "run")
    assert not (tmp_path / "run" / "scores").exists()


@pytest.mark.slow
def test_numbers_of_numpy_and_names_alone_make_the_run_of_the_command_line(tmp_path: Path) -> None:
    """The same part of the same song has one digest, so the scores are kept."""
    out = tmp_path / "run"
    how = {"out": out, "progress": False, "isolate": False}
    sepbench.evaluate("mixture", duration=np.int64(1), tracks="*falcon*", devices="cpu", **how)
    (file,) = (out / "scores").rglob("*.json")
    before = file.stat().st_mtime_ns
    words = ["evaluate", "-m", "mixture", "--duration", "1", "-o", str(out), "--no-isolate"]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert file.stat().st_mtime_ns == before


def test_what_is_no_run_is_one_line(tmp_path: Path) -> None:
    for folder in (None, 5, "", b"run", "a\0b"):
        with pytest.raises(sepbench.SepbenchError, match=r"folder=.*: give a path"):
            sepbench.open_run(folder)  # type: ignore[arg-type]
    with pytest.raises(sepbench.SepbenchError, match="no runs; give the folder"):
        sepbench.compare()
    sepbench.evaluate("mixture", duration=1, out=tmp_path, progress=False, isolate=False)
    with pytest.raises(sepbench.SepbenchError, match="no protocol 5; choose sisec18"):
        sepbench.open_run(tmp_path).table(5)  # type: ignore[arg-type]
    for wrong, message in (
        ({"stems": 5}, "stems=5: give a name"),
        ({"methods": "hpss"}, "method 'hpss': not in the runs"),
        ({"rope": -1}, "rope=-1: give a number from 0 on"),
    ):
        with pytest.raises(sepbench.SepbenchError, match=message):
            sepbench.compare(tmp_path, **wrong)  # type: ignore[arg-type]


def test_a_method_is_one_and_a_stem_has_a_reference() -> None:
    with pytest.raises(sepbench.SepbenchError, match="name one separator"):
        sepbench.separate(NOISE[0], rate=8000, method=["hpss", "unet"])  # type: ignore[arg-type]
    with pytest.raises(sepbench.SepbenchError, match="reference for any of vocal; it has vocals"):
        sepbench.score({"vocals": NOISE[0]}, {"vocal": NOISE[0]}, 8000)
    with pytest.raises(sepbench.SepbenchError, match="stems=\\[5\\]: give a name"):
        sepbench.separate(NOISE[0], rate=8000, method="hpss", stems=[5])  # type: ignore[list-item]
    for wrong, message in (
        ({"metrics": None}, "metrics=None: give a name"),
        ({"device": "gpu"}, "device 'gpu' is not available"),
        ({"references": {"": NOISE[0]}}, "'' is no stem"),
        ({"references": {"mixture": NOISE[0]}}, "'mixture' is no stem"),
    ):
        arguments = {"references": {"vocals": NOISE[0]}, **wrong}
        with pytest.raises(sepbench.SepbenchError, match=message):
            sepbench.score(estimates={"vocals": NOISE[0]}, rate=8000, **arguments)  # type: ignore[arg-type]


def test_one_name_may_stand_for_a_list_of_one() -> None:
    song = 0.1 * np.random.default_rng(0).normal(size=(1, 8000))
    made = sepbench.separate(song, rate=8000, method="hpss", stems="harmonic")
    assert list(made) == ["harmonic"]
    table = sepbench.score({"vocals": song}, {"vocals": song}, 8000, metrics="sdr")
    assert set(table["protocol"]) >= {"mdx"}


def test_arguments_of_other_kinds_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(sepbench.SepbenchError, match="device None is not available"):
        sepbench.separate(np.zeros(8000), rate=8000, method="hpss", device=None)  # type: ignore[arg-type]
    for part in ({"duration": -1}, {"duration": 0}, {"start": -0.5}):
        with pytest.raises(sepbench.SepbenchError, match="a part begins at 0 s or later"):
            sepbench.evaluate(["mixture"], out=tmp_path / "run", **part)
    assert not (tmp_path / "run").exists()


def test_a_tenth_of_the_other_stem_costs_twenty_decibels() -> None:
    true = {"vocals": NOISE[0], "accompaniment": NOISE[1]}
    scale = np.linalg.norm(NOISE[0]) / np.linalg.norm(NOISE[1])
    made = {"vocals": NOISE[0] + 0.1 * scale * NOISE[1], "accompaniment": NOISE[1]}
    table = sepbench.score(true, made, 8000)
    row = table[(table["stem"] == "vocals") & (table["protocol"] == "mdx")].iloc[0]
    assert row["value"] == pytest.approx(20.0, abs=1e-3)
    assert row["mixture"] == pytest.approx(-20 * np.log10(1 / scale), abs=1e-3)
    with pytest.raises(sepbench.SepbenchError, match="estimate vocals: shape"):
        sepbench.score(true, {"vocals": NOISE[0][:, :100]}, 8000)


def test_a_run_is_the_same_when_it_is_opened_again(tmp_path: Path) -> None:
    run = sepbench.evaluate(
        ["mixture", "hpss"], duration=1, out=tmp_path, progress=False, isolate=False
    )
    assert sepbench.open_run(tmp_path).scores.equals(run.scores)
    assert list(run.table().index) == ["mixture", "hpss"]
    assert "<table" in run._repr_html_()
    assert run.plot().axes
    with pytest.raises(sepbench.SepbenchError, match="no protocol"):
        run.table("sisec2018")


def test_weights_are_read_as_often_for_one_song_as_for_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sepbench import registry
    from sepbench.inference.runner import choose_device, load
    from sepbench.weights import container

    shipped = registry.resolve("mask-cnn")[0].declared.weight_files[0].path
    assert shipped is not None
    mine = Path(shutil.copy(shipped, tmp_path / "mine.safetensors"))
    counts = {"sha256": 0, "read_header": 0}

    def counting(name: str) -> Callable[[Path], Any]:
        real = getattr(container, name)

        def counted(path: Path) -> Any:
            counts[name] += path == mine
            return real(path)

        return counted

    for name in counts:
        monkeypatch.setattr(container, name, counting(name))
    (method,) = registry.resolve(f"mask-cnn[weights={mine}]")
    for _ in range(3):
        assert method.identity["weights"] == [method.declared.weight_files[0].sha256]
        registry.describe(method)
    separator = method.create()
    load(separator, choose_device("cpu"))
    # Once for the facts, and once for the separator that is loaded.
    assert counts == {"sha256": 3, "read_header": 2}


@pytest.mark.slow
def test_the_wheel_has_every_package_and_its_data(tmp_path: Path) -> None:
    source = tmp_path / "source"  # A build leaves files beside the source.
    left_out = shutil.ignore_patterns(".git", "build", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, source, ignore=left_out)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", tmp_path, source], check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        inside = set(wheel.namelist())
    folders = {"sepbench": "sepbench", "plugins": "sepbench_plugins", "configs": "sepbench_configs"}
    for folder, package in folders.items():
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert f"{package}/{file.relative_to(ROOT / folder).as_posix()}" in inside


@pytest.mark.slow
def test_a_folder_of_songs_is_a_data_set(tmp_path: Path) -> None:
    for stem, samples in zip(("vocals", "accompaniment"), NOISE, strict=True):
        (tmp_path / "songs" / "one").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "songs" / "one" / f"{stem}.wav", samples.T, 8000, "FLOAT")
    how = {"out": tmp_path / "run", "progress": False, "isolate": False}
    run = sepbench.evaluate("mixture", tmp_path / "songs", **how)
    assert set(run.scores["track"]) == {"one"}
    with pytest.raises(sepbench.SepbenchError, match="no such folder of songs"):
        sepbench.evaluate("mixture", str(tmp_path / "none"), **how)


def test_a_renamed_song_counts_once(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    (songs / "old").mkdir(parents=True)
    for name, stem in zip(("vocals", "accompaniment"), NOISE, strict=True):
        soundfile.write(songs / "old" / f"{name}.wav", stem.T, 8000)

    def scored() -> list[str]:
        run = sepbench.evaluate(
            "mixture", "folder", root=songs, subset="all", out=tmp_path / "run",
            progress=False, isolate=False,
        )  # fmt: skip
        return list(run.scores["track"].unique())

    assert scored() == ["old"]
    (songs / "old").rename(songs / "new")
    with pytest.warns(UserWarning, match="old is now called new"):
        assert scored() == ["new"]


def test_no_stem_shares_memory_with_another() -> None:
    song = NOISE[0]
    stems = sepbench.separate(song, rate=8000, method="mixture")
    stems["vocals"][0] = 0
    assert not stems["vocals"][0].any()
    np.testing.assert_array_equal(stems["vocals"][1], song[1])
    np.testing.assert_array_equal(stems["drums"], song)


def test_stems_may_be_named_by_a_generator() -> None:
    names = (name for name in ("drums", "vocals"))
    assert [*sepbench.separate(NOISE[0], rate=8000, method="mixture", stems=names)] == [
        "drums",
        "vocals",
    ]
    with pytest.raises(sepbench.SepbenchError, match="stems=5: give a name"):
        sepbench.separate(NOISE[0], rate=8000, method="mixture", stems=5)  # type: ignore[arg-type]


@pytest.mark.parametrize("stems", [None, [NOISE[0]], "vocals.wav", {1: NOISE[0]}])
def test_what_is_no_dict_of_stems_is_one_line(stems: Any) -> None:
    with pytest.raises(sepbench.SepbenchError, match=r"^references: give a dict of arrays by stem"):
        sepbench.score(stems, {"vocals": NOISE[0]}, 8000)
    with pytest.raises(sepbench.SepbenchError, match=r"^estimates: give a dict of arrays by stem"):
        sepbench.score({"vocals": NOISE[0]}, stems, 8000)
