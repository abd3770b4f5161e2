"""The documentation site lists what the program has, as it is made from it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from commands import run

from sepbench import registry
from sepbench.cli.main import main

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(generate: ModuleType) -> dict[str, str]:
    made: dict[str, str] = generate.pages()
    return made


def commands(command: click.Command, path: str) -> dict[str, click.Command]:
    found = {path: command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child
            found |= commands(child, f"{path} {name}")
    return found


def test_every_command_is_on_the_site_with_every_option(pages: dict[str, str]) -> None:
    page = pages["command-line.md"]
    sections = dict(re.findall(r"^#+ (sepbench .+?)\n(.*?)(?=^#|\Z)", page, re.M | re.S))
    for path, command in commands(main, "sepbench").items():
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        for option in options if path != "sepbench" else []:
            assert option.opts[-1] in sections[path], path


def test_the_site_leaves_the_help_of_commands_as_it_is(pages: dict[str, str]) -> None:
    for path in commands(main, "sepbench"):
        assert run(*path.split()[1:], "-h").exit_code == 0, path


def test_every_method_metric_and_data_set_is_on_the_site(pages: dict[str, str]) -> None:
    from sepbench import datasets

    names = {
        "methods.md": [entry.name for entry in registry.plugins()],
        "metric-list.md": [info.name for info in registry.metrics.metrics() if info.metric],
        "datasets.md": [entry["name"] for entry in datasets()],
    }
    for page, wanted in names.items():
        assert wanted
        assert re.findall(r"^## (.+)$", pages[page], re.M) == wanted


def test_every_public_name_of_sepbench_is_in_the_api(pages: dict[str, str]) -> None:
    import sepbench

    listed = {line.rpartition(".")[2] for line in pages["api.md"].splitlines() if ":::" in line}
    # The lists are pages of their own; the count of samples is an annotation.
    assert set(sepbench.__all__) - {"datasets", "methods", "SampleCount"} <= listed


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra 'docs'")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "compare" in (tmp_path / "site/command-line/index.html").read_text()
