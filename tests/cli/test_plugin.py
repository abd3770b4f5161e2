from __future__ import annotations

import ast
import datetime
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import run

from sepbench.errors import SepbenchError
from sepbench.registry.scaffold import LICENSES, create

TESTS = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def own_path(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_a_new_plugin_is_a_whole_distribution() -> None:
    result = run("plugin", "new", "centre-cut", "--license", "ISC", "--author", "A. Nobody")
    assert result.exit_code == 0, result.output
    folder = Path("centre-cut")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "pyproject.toml", "README.md", "LICENSE", ".gitignore", ".github/workflows/test.yml",
        "sepbench_centre_cut/__init__.py", "tests/test_conformance.py",
    }  # fmt: skip
    assert 'centre-cut = "sepbench_centre_cut:CentreCut"' in (folder / "pyproject.toml").read_text()
    assert "A. Nobody" in (folder / "LICENSE").read_text()
    assert "${{ matrix.python }}" in (folder / ".github/workflows/test.yml").read_text()
    code = (folder / "sepbench_centre_cut/__init__.py").read_text()
    assert _lines_of_code(code) <= 30


def test_of_a_plugin_that_cannot_be_written_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = os.replace, list[object]()

    def full(*where: Any) -> None:
        calls.append(where)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        replace(*where)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(SepbenchError, match="new: cannot write: No space left on device; choose"):
        create("new-one", tmp_path / "new")
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    assert all(file.is_file() for file in create("new-one", tmp_path / "new"))
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_every_license_has_its_text() -> None:
    for name in LICENSES:
        create("x", Path(name), license=name)
        assert "Copyright" in Path(name, "LICENSE").read_text()
        assert f'license = "{name}"' in Path(name, "pyproject.toml").read_text()


def test_the_new_separator_keeps_the_middle_and_leaves_the_sides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    run("plugin", "new", "middle", "--out", "here")
    monkeypatch.syspath_prepend(Path("here").resolve())
    from sepbench_middle import Middle  # type: ignore[import-not-found]

    time = torch.arange(44100) / 44100
    middle, side = torch.sin(2 * torch.pi * 440 * time), torch.sin(2 * torch.pi * 700 * time)
    separate = Middle().separate
    centred = separate(torch.stack([middle, middle]))["vocals"]
    assert (centred[0] - middle)[4096:-4096].abs().max() < 1e-3
    wide = separate(torch.stack([side, -side]))["vocals"]
    assert wide[:, 4096:-4096].abs().max() < 1e-3


@pytest.mark.parametrize("author", ["Anna", 'Jane "JJ" Doe', "Zoë \\ Ünal: #1"])
@pytest.mark.parametrize(
    ("kind", "file"),
    [("network", "__init__.py"), ("onnx", "card.yaml"), ("command", "separator.yaml")],
)
def test_the_source_of_a_new_method_has_any_author_and_the_year(
    kind: str, file: str, author: str
) -> None:
    create("x", Path("x"), kind=kind, authors=author)
    text = Path("x/sepbench_x", file).read_text(encoding="utf-8")
    if file.endswith(".yaml"):
        citation = yaml.safe_load(text)["citation"]
    else:
        (citation,) = (
            ast.literal_eval(node.value)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "citation"
        )
    assert citation == f"{author}, {datetime.date.today().year}"


def test_a_new_network_refuses_unknown_fields_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from sepbench.training.build import trainable_of

    run("plugin", "new", "strict", "--kind", "network", "--out", "here")
    monkeypatch.syspath_prepend(Path("here").resolve())
    from sepbench_strict import Strict  # type: ignore[import-not-found]

    model = yaml.safe_load(Path("here/sepbench_strict/configs/default.yaml").read_text())["model"]
    assert trainable_of(Strict, model, "mine").context
    with pytest.raises(SepbenchError, match="unknown field 'wdth'"):
        trainable_of(Strict, {**model, "wdth": 3}, "mine")


def test_a_new_network_separates_stereo_songs_by_position_unless_disabled(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from sepbench import registry
    from sepbench.inference import runner
    from sepbench.testing.signals import song
    from sepbench.testing.subject import untrained_weights

    run("plugin", "new", "placed", "--kind", "network", "--out", "here")
    monkeypatch.syspath_prepend(Path("here").resolve())
    from sepbench_placed import Placed  # type: ignore[import-not-found]

    file, cpu = str(untrained_weights(Placed, empty_folder)), torch.device("cpu")
    made = []
    mixture = song(samples=48_000, rate=48_000, channels=2, seed=0).mixture.numpy()
    for wiener in (-1, 0, 1):
        separator = registry.variant(Placed, {"weights": file, "wiener": wiener}).create()
        runner.load(separator, cpu)
        stems = runner.separate(separator, mixture, rate=48_000, device=cpu).stems
        made.append(torch.from_numpy(stems["vocals"]))
    assert torch.equal(made[0], made[2])
    assert not torch.allclose(made[0], made[1], atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dsp", "network", "command", "onnx"])
def test_every_new_separator_passes_its_checks(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    import importlib

    from sepbench.testing import examine
    from sepbench.testing.check import FAILED

    if kind == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    run("plugin", "new", f"new-{kind}", "--kind", kind, "--out", kind)
    monkeypatch.syspath_prepend(Path(kind).resolve())
    made = getattr(importlib.import_module(f"sepbench_new_{kind}"), f"New{kind.capitalize()}")
    failed = [outcome.line() for outcome in examine(made, seconds=1.0) if outcome.status == FAILED]
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["command", "onnx"])
def test_a_new_program_or_network_keeps_the_middle(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import importlib

    import torch

    from sepbench.inference import runner

    if kind == "onnx":
        pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    run("plugin", "new", f"mid-{kind}", "--kind", kind, "--out", kind)
    monkeypatch.syspath_prepend(Path(kind).resolve())
    made = getattr(importlib.import_module(f"sepbench_mid_{kind}"), f"Mid{kind.capitalize()}")
    song = torch.randn(2, 50_000, generator=torch.Generator().manual_seed(0))
    separator = made()
    runner.load(separator, torch.device("cpu"))
    voice = separator.separate(song)["vocals"]
    torch.testing.assert_close(voice[0], voice[1])
    middle = song.mean(0)
    # Not all of it: what remains would be in opposite phase, and a sum of its channels silent.
    assert 0.001 < (voice[0] - middle).square().sum() / middle.square().sum() < 0.02
    spectrum = torch.fft.rfft(middle)
    if kind == "command":
        spectrum[torch.fft.rfftfreq(50_000, 1 / separator.sample_rate) < 150] = 0
    expected = torch.fft.irfft(spectrum, 50_000) * (0.9 if kind == "onnx" else 1)
    torch.testing.assert_close(voice[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Centre"], "lower-case letters"),
        (["centre_cut"], "lower-case letters"),
        (["2-stems"], "a letter first"),
        (["../up"], "lower-case letters"),
        (["hpss"], "taken by sepbench"),
        (["si-sdr", "--kind", "metric"], "that of a published protocol; choose another"),
        (["mdx", "--kind", "metric"], "that of a published protocol; choose another"),
        (["fresh", "--out", "."], "exists already"),
    ],
)
def test_a_plugin_that_cannot_be_is_refused_in_one_line(words: list[str], message: str) -> None:
    result = run("plugin", "new", *words)
    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not list(Path().iterdir())


@pytest.mark.slow
def test_a_check_tells_crash_and_hang_with_their_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TESTS))
    crash = run("plugin", "check", "fakes:Crashing", "--json", "--seconds", 1)
    assert crash.exit_code == 1
    facts = {fact["check"]: fact for fact in json.loads(crash.stdout)["checks"]}
    assert facts["separates"]["status"] == "failed"
    assert "SIGKILL" in facts["separates"]["got"]
    assert facts["shapes"]["status"] == "not run"
    hang = run("plugin", "check", "fakes:Endless", "--timeout", 8, "--seconds", 1)
    assert hang.exit_code == 1
    assert "got: took longer than --timeout 8 seconds; fix: " in hang.output


@pytest.mark.slow
def test_what_is_no_separator_is_a_failed_fact_and_what_is_not_there_an_error() -> None:
    Path("mine.py").write_text("class Mine: pass\nraise_later = 1\n")
    result = run("plugin", "check", "mine:Mine")
    assert result.exit_code == 1
    assert "mine:Mine is not a subclass of sepbench.Separator" in result.output
    assert run("plugin", "check", "hpsss").exit_code == 2
    assert "did you mean 'hpss'" in run("plugin", "check", "hpsss").output
    assert (
        "no plugin 'fulness'; did you mean 'fullness'?" in run("plugin", "check", "fulness").output
    )
    nothing = run("plugin", "check", "qqq").output
    assert "'sepbench methods', 'sepbench data' and 'sepbench metrics' list them" in nothing
    wrong = run("plugin", "check", "hpss[colour=red]").output
    assert "no option 'colour'" in wrong
    assert "fix: leave the option out" in wrong
    for malformed in (":", "mine:", ":Mine", "..:Mine", "my module:Mine", "mine.py"):
        result = run("plugin", "check", malformed)
        assert result.exit_code == 2
        assert "write it as NAME, or as MODULE:CLASS" in result.output
    assert "no module 'nowhere' here; install it" in run("plugin", "check", "nowhere.a:B").output
    assert "one value" in run("plugin", "check", "hpss[margin=1,2]").output


def _lines_of_code(text: str) -> int:
    """Count lines that hold code: no docstrings, comments or blank lines."""
    tree = ast.parse(text)
    told = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(text.splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in told
        for number, line in lines
    )
