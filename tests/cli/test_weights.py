from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
import soundfile
import torch
from click.testing import Result
from fakes import Calm
from safetensors.torch import save_file

from sepbench import registry
from sepbench._util import entry_points
from sepbench.separator import WeightFile, option
from sepbench.training.learned import Shipped
from sepbench.weights import container, files, formats


def run(*words: str | Path) -> Result:
    return commands.run("weights", *words)


class Learned(Calm):
    """The gain of its stem is what its weight file says."""

    name = "learned"
    license = "MIT; weights CC0-1.0"

    @dataclass(frozen=True)
    class Options:
        size: str = option("small", "which weights", choices=("small", "large"))

    @property
    def weight_files(self) -> tuple[WeightFile, ...]:
        # From the environment, which processes of their own have too.
        file = Path(os.environ["LEARNED_SOURCE"]) / f"{self.options.size}.txt"
        sha256 = hashlib.sha256(b"0.25" if self.options.size == "small" else b"0.75").hexdigest()
        return (WeightFile(file.name, sha256, file.as_uri(), size=4, terms="CC0-1.0"),)

    def load(self, device: torch.device) -> None:
        (file,) = files.checked(self)
        self.gain = float(file.read_text())

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": mixture * self.gain}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, two methods, and a folder from which one of them gets its weights."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "small.txt").write_text("0.25")
    (source / "large.txt").write_text("0.75")
    monkeypatch.setenv("LEARNED_SOURCE", str(source))
    points = {
        name: [EntryPoint(name, value, registry.GROUP)]
        for name, value in {"calm": "fakes:Calm", "learned": f"{__name__}:Learned"}.items()
    }
    monkeypatch.setattr(
        entry_points,
        "find",
        lambda group, real=entry_points.find: points if group == registry.GROUP else real(group),
    )
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    soundfile.write("song.wav", np.full((8000, 2), 0.5), 8000, "FLOAT")
    return tmp_path / "cache" / "weights" / "learned"


def states(*words: str) -> dict[str, str]:
    listed = json.loads(run(*words, "--json").stdout)
    return {row["method"]: row["state"] for row in listed}


def test_every_choice_of_weights_is_listed_fetched_and_verified(cache: Path) -> None:
    small, large = "learned", "learned[size=large]"
    assert states("list") == {small: "missing", large: "missing"}
    assert run("path", small).output == f"{cache / 'small.txt'}\n"
    fetched = run("fetch", large, "--json")
    assert fetched.exit_code == 0, fetched.output
    assert json.loads(fetched.stdout) == [
        {"method": large, "fetched": [str(cache / "large.txt")]},
    ]
    assert states("list") == {small: "missing", large: "here"}
    assert run("verify").exit_code == 0
    assert run("verify", small).exit_code == 1
    (cache / "large.txt").write_text("0.5")
    assert states("list") == {small: "missing", large: "here"}
    assert states("verify") == {small: "missing", large: "damaged"}
    assert run("verify").exit_code == 1
    assert run("fetch", large).exit_code == 0
    assert states("verify")[large] == "here"
    assert f"{large}  large.txt  0.0 MB  CC0-1.0  here" in run("list").output


def test_it_is_said_of_each_method_without_weight_files_whether_it_needs_any(cache: Path) -> None:
    calm, roformer = "calm: needs no weights\n", "roformer: sepbench keeps no weight files of it;"
    for verb in ("list", "verify", "path"):
        alone, beside = run(verb, "calm"), run(verb, "calm", "learned[size=large]")
        assert (alone.exit_code, alone.stderr, alone.stdout) == (0, calm, "")
        assert beside.stderr == calm
        assert "large.txt" in beside.stdout
    registered = entry_points.find(registry.GROUP)
    registered["roformer"] = [
        EntryPoint("roformer", "sepbench_plugins.roformer:Roformer", registry.GROUP)
    ]
    assert roformer in run("list", "roformer").stderr
    assert json.loads(run("path", "roformer", "--json").stdout) == []


def test_files_got_by_hand_are_known_by_their_content(cache: Path) -> None:
    for name, content in {"a": "0.75", "small.txt": "0.25"}.items():
        Path(name).write_text(content)
    result = run("add", "learned", "a", "small.txt", "--json")
    assert result.exit_code == 0, result.output
    paths = {"a": str(cache / "large.txt"), "small.txt": str(cache / "small.txt")}
    assert json.loads(result.stdout) == paths
    assert states("verify") == {"learned": "here", "learned[size=large]": "here"}
    # A copy: the file that was got stays where it was.
    assert Path("a").read_text() == "0.75"


@pytest.mark.parametrize(
    ("method", "name", "message"),
    [
        ("learned", "small.txt", "small.txt: not a weight file of learned: its sha256 is "),
        ("learned", "other.txt", "not a weight file of learned: it takes small.txt, large.txt"),
        ("learned", "nothing.txt", "nothing.txt: "),
        ("calm", "other.txt", "method calm: has no downloadable weights"),
        ("learned[sise=large]", "small.txt", "no option 'sise'; did you mean 'size'?"),
        ("leanred", "other.txt", "no method 'leanred'; did you mean 'learned'?"),
    ],
)
def test_other_files_are_not_added(cache: Path, method: str, name: str, message: str) -> None:
    for file in ("small.txt", "other.txt"):
        Path(file).write_text("wrong")
    result = run("add", method, name)
    assert result.exit_code == 2
    assert message in result.output
    assert not cache.exists() or not list(cache.iterdir())


@pytest.mark.slow
def test_without_its_weights_a_method_is_a_row_with_the_cure(cache: Path) -> None:
    assert "sepbench weights fetch learned" in commands.run("methods", "-v").output
    assert "not usable yet: learned (-v shows what they need)" in commands.run("methods").output
    result = commands.run("evaluate", "--all", "--duration", "1", "--out", "run", "--no-isolate")
    assert result.exit_code == 0, result.output
    assert "learned is left out: its weights are missing" in result.output
    assert not cache.exists()


def test_a_method_called_by_name_brings_its_weights(cache: Path) -> None:
    result = commands.run("separate", "-m", "learned", "song.wav", "--bit-depth", "32f")
    assert result.exit_code == 0, result.output
    assert "fetching the weights of learned (1 file, 0.0 MB, CC0-1.0)" in result.output
    stem, _ = soundfile.read("separated/learned/song/vocals.wav")
    np.testing.assert_allclose(stem, 0.125)
    again = commands.run("separate", "-m", "learned", "song.wav", "--overwrite")
    assert "fetching" not in again.output


@pytest.mark.slow
def test_weights_that_cannot_be_had_are_one_line_or_one_row(cache: Path) -> None:
    (Path(os.environ["LEARNED_SOURCE"]) / "small.txt").write_text("0.99")
    alone = commands.run("separate", "-m", "learned", "song.wav")
    assert alone.exit_code == 2
    assert "not the expected file" in alone.output
    (Path(os.environ["LEARNED_SOURCE"]) / "small.txt").unlink()
    assert "download failed" in run("fetch", "learned").output
    words = ("--duration", "1", "--out", "run", "--no-isolate", "--json")
    both = commands.run("evaluate", "-m", "learned", "-m", "calm", *words)
    assert both.exit_code == 1
    assert "missing weights of learned" in both.output
    assert (Path("run") / "scores.csv").read_text().count("calm") > 1


def test_a_method_without_weights_has_none_to_fetch(cache: Path) -> None:
    assert "has no weights to fetch" in run("fetch", "calm").output
    mixed = run("fetch", "calm", "learned", "--json")
    assert mixed.exit_code == 1
    assert (cache / "small.txt").is_file()
    assert run("path").output.strip() == str(cache.parent)
    assert run("path", "calm").stdout == ""


def test_of_shipped_weights_the_place_is_reported() -> None:
    fetched = run("fetch", "mask-cnn")
    assert fetched.exit_code == 0, fetched.output
    assert "mask-cnn: is here, nothing to fetch" in fetched.output
    assert "default.safetensors (shipped)" in fetched.output


def test_the_detector_of_voice_gate_is_shipped() -> None:
    listed = json.loads(run("list", "voice-gate[unet]", "--json").output)
    assert {row["from"] for row in listed} == {"shipped"}


def test_shipped_weights_that_are_damaged_cannot_be_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    separator = registry.resolve("mask-cnn")[0].separator
    monkeypatch.setattr(separator, "shipped", {"default": Shipped("0" * 64)})
    fetched = run("fetch", "mask-cnn")
    assert fetched.exit_code == 2
    assert "damaged weights of mask-cnn, which are part of its package" in fetched.output
    assert "install its package again" in fetched.output


def test_weights_of_the_user_are_listed_with_their_path_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("own.safetensors")
    header = {"method": "unet", "model": {"rate": 8000}, "context": 1.0, "trained_on": []}
    container.save(file, {"a": torch.arange(9.0)}, header)
    method = f"unet[weights={file}]"
    (row,) = json.loads(run("list", method, "--json").stdout)
    assert row["path"] == str(tmp_path / file)
    assert (row["state"], row["from"]) == ("here", "a file of yours")
    assert run("verify", method).exit_code == 0
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert states("verify", method) == {method: "damaged"}
    file.unlink()
    missing = run("list", method)
    assert missing.exit_code == 2
    assert "own.safetensors: no such weight file" in missing.output


class Reversed:
    """Weights of a tool that stores its bytes backwards."""

    summary = "Reversed bytes."

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        out.write_bytes(source.read_bytes()[::-1])
        return {"method": "unet", "license": "CC0-1.0"}

    def write(self, source: Path, out: Path) -> None:
        out.write_bytes(source.read_bytes()[::-1])


class Halfway:
    """Comes to the end of the disk."""

    summary = "Half a file."

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        return {}

    def write(self, source: Path, out: Path) -> None:
        out.write_bytes(b"half")
        raise OSError(28, "No space left on device")


class ReadOnly:
    """Weights that can be read alone."""

    summary = "Read only."

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        return {}


@pytest.fixture
def two_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint(name, value, formats.GROUP)
        for name, value in {
            "reversed": f"{__name__}:Reversed",
            "read-only": f"{__name__}:ReadOnly",
            "halfway": f"{__name__}:Halfway",
            "broken": "no_such_module_anywhere:Format",
        }.items()
    ]

    def found(group: str, name: str | None = None) -> list[EntryPoint]:
        assert group == "sepbench.weights"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(formats, "entry_points", found)


@pytest.mark.usefixtures("two_formats")
def test_weights_go_to_another_tool_and_back(tmp_path: Path) -> None:
    source, theirs, ours = tmp_path / "a", tmp_path / "b", tmp_path / "c.safetensors"
    source.write_bytes(b"weights")
    assert run("export", "reversed", source, "--out", theirs).exit_code == 0
    assert theirs.read_bytes() == b"sthgiew"
    made = run("import", "reversed", theirs, "--out", ours, "--json")
    assert made.exit_code == 0, made.output
    assert ours.read_bytes() == b"weights"
    assert json.loads(made.stdout)["header"]["license"] == "CC0-1.0"


@pytest.mark.usefixtures("two_formats")
def test_mistakes_in_an_exchange_are_one_line(tmp_path: Path) -> None:
    source, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    missing = run("import", "reversed", source, "--out", out)
    assert missing.exit_code == 2
    assert "no such file" in missing.output
    source.write_bytes(b"weights")
    assert "did you mean 'reversed'" in run("import", "reverse", source, "--out", out).output
    assert "broken, halfway, read-only" in run("import", "torch", source, "--out", out).output
    assert "is broken" in run("import", "broken", source, "--out", out).output
    assert "imported only" in run("export", "read-only", source, "--out", out).output
    assert "path of a new file" in run("import", "reversed", source, "--out", source).output
    full = run("export", "halfway", source, "--out", tmp_path / "half.pth")
    assert full.exit_code == 2
    assert "half.pth: cannot write: No space left on device" in full.output
    assert list(tmp_path.iterdir()) == [source]
    song = tmp_path / "song.wav"
    song.write_bytes(b"song")
    assert "NAME.safetensors" in run("import", "reversed", source, "--out", song).output
    assert song.read_bytes() == b"song"
    # Of several mistakes, the first on the command line is named.
    for verb in ("import", "export"):
        assert "no weight format" in run(verb, "torch", tmp_path / "no", "--out", tmp_path).output
        assert "no such file" in run(verb, "reversed", tmp_path / "no", "--out", song).output
    for verb in ("import", "export"):
        nowhere = run(verb, "reversed", source, "--out", source / "b.safetensors")
        assert nowhere.exit_code == 2
        assert "cannot write: " in nowhere.output
        assert "choose another --out" in nowhere.output


def test_a_method_without_weights_is_said_to_need_none() -> None:
    listed = run("list", "hpss")
    assert "hpss: needs no weights" in listed.output
    assert json.loads(run("list", "hpss", "--json").stdout) == []


@pytest.mark.skipif(find_spec("nussl") is None, reason="needs the extra nussl")
def test_weights_of_a_plugin_beside_it_are_shipped_too() -> None:
    (row,) = json.loads(run("list", "nussl-deep-mask", "--json").stdout)
    assert row["from"] == "shipped"


def test_a_file_of_others_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"a\x1b[2J": torch.zeros(2)}, file, {"x": "\x1b]0;title\x07\nerror: forged"})
    shown = commands.run("weights", "show", file)
    assert shown.exit_code == 0
    assert "\x1b" not in shown.output
    assert "\nerror" not in shown.output
