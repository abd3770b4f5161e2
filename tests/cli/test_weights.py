from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sepbench.cli.main import main
from sepbench.training import exchange


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["weights", *(str(argument) for argument in arguments)])


class Reversed:
    """Weights of a tool that stores its bytes backwards."""

    summary = "Reversed bytes."

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        out.write_bytes(source.read_bytes()[::-1])
        return {"method": "unet", "licence": "CC0-1.0"}

    def write(self, source: Path, out: Path) -> None:
        out.write_bytes(source.read_bytes()[::-1])


class ReadOnly:
    """Weights that can be read alone."""

    summary = "Read only."

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        return {}


@pytest.fixture
def formats(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint(name, value, exchange.GROUP)
        for name, value in {
            "reversed": f"{__name__}:Reversed",
            "read-only": f"{__name__}:ReadOnly",
            "broken": "no_such_module_anywhere:Format",
        }.items()
    ]

    def found(group: str, name: str | None = None) -> list[EntryPoint]:
        assert group == "sepbench.weights"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(exchange, "entry_points", found)


@pytest.mark.usefixtures("formats")
def test_weights_go_to_another_tool_and_back(tmp_path: Path) -> None:
    source, theirs, ours = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    source.write_bytes(b"weights")
    assert run("export", "reversed", source, "--out", theirs).exit_code == 0
    assert theirs.read_bytes() == b"sthgiew"
    made = run("import", "reversed", theirs, "--out", ours, "--json")
    assert made.exit_code == 0, made.output
    assert ours.read_bytes() == b"weights"
    assert json.loads(made.stdout)["header"]["licence"] == "CC0-1.0"


@pytest.mark.usefixtures("formats")
def test_mistakes_in_an_exchange_are_one_line(tmp_path: Path) -> None:
    source, out = tmp_path / "a", tmp_path / "b"
    missing = run("import", "reversed", source, "--out", out)
    assert missing.exit_code == 2
    assert "no such file" in missing.output
    source.write_bytes(b"weights")
    assert "did you mean 'reversed'" in run("import", "reverse", source, "--out", out).output
    assert "broken, read-only" in run("import", "torch", source, "--out", out).output
    assert "is broken" in run("import", "broken", source, "--out", out).output
    assert "imported only" in run("export", "read-only", source, "--out", out).output
    assert "path of a new file" in run("import", "reversed", source, "--out", source).output
