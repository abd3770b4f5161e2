"""Broken plugins, installed as real distributions, cost one row each and nothing more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import sepbench

SEPARATOR = """
from sepbench.separator import Separator
{top}
class Plugin(Separator):
    name = "{name}"
    summary = "For tests."
    stems = ("vocals", "accompaniment")
    remainder = "accompaniment"
    license = "MIT"
    citation = "Nobody, 2026"

    def separate(self, mixture):
        {body}
        return {{"vocals": mixture / 2}}
"""
AT_IMPORT = {
    "explodes": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "lacks": ("import a_module_that_is_not_here", "No module named 'a_module_that_is_not_here'"),
    "kills": (
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "its import kills its process (signal SIGKILL",
    ),
    "strange": ("Separator = object", "not a subclass of sepbench.Separator"),
    "twice": ("", "two plugins have this name"),
}
AT_IMPORT |= {
    "interrupts": ("raise KeyboardInterrupt", "its import raises KeyboardInterrupt"),
    "mumbles": (
        "class Mute(Exception):\n    def __str__(self): raise SystemExit\nraise Mute",
        "import failed: Mute (its message raises SystemExit)",
    ),
    "born-dead": (
        "class Dead(Separator):\n    def __init__(self): import os; os._exit(0)\nSeparator = Dead",
        "its import kills its process (exit status 0)",
    ),
    "reads-dead": (
        "class Dead(Separator):\n    @property\n    def level(self): import os; os._exit(0)\n"
        "Separator = Dead",
        "its import kills its process (exit status 0)",
    ),
    "reads-stop": (
        "class Stop(Separator):\n    @property\n    def level(self): raise KeyboardInterrupt\n"
        "Separator = Stop",
        "its import raises KeyboardInterrupt",
    ),
    "too-fast": (
        "class Fast(Separator):\n    sample_rate = 10**9\nSeparator = Fast",
        "sample_rate 1000000000: declare a whole number",
    ),
}
AT_WORK = {
    "quits": ("raise SystemExit(0)", "quits on simulated-000: SystemExit: 0"),
    "stops": ("raise KeyboardInterrupt", "stops on simulated-000: KeyboardInterrupt"),
    "raises": ("raise ValueError('no luck today')", "ValueError: no luck today"),
    "shorter": ("mixture = mixture[:, 1:]", "of shape"),
    "nan": ("mixture = mixture * float('nan')", "NaN or infinity in vocals"),
    "endless": ("while mixture.shape[1] > 48000: pass", "took longer than --timeout"),
    "dies": ("import os; os._exit(7)", "its process died (exit status 7)"),
}


def wheel(folder: Path, distribution: str, name: str, source: str) -> Path:
    """Write a wheel that holds one module and registers what is called Plugin in it."""
    module = distribution.replace("-", "_")
    facts = f"{module}-1.0.dist-info"
    contents = {
        f"{module}.py": source,
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{facts}/entry_points.txt": f"[sepbench.separators]\n{name} = {module}:Plugin\n",
    }
    path = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in contents.items():
            archive.writestr(file, text)
        archive.writestr(f"{facts}/RECORD", "".join(f"{file},,\n" for file in contents))
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fresh environment: our libraries, sepbench without its own methods, and these plugins."""
    root = tmp_path_factory.mktemp("environment")
    wheels = [
        wheel(root, f"plugin-{name}", name, SEPARATOR.format(top=top, name=name, body="pass"))
        for name, (top, _) in AT_IMPORT.items()
    ]
    wheels += [
        wheel(root, f"plugin-{name}", name, SEPARATOR.format(top="", name=name, body=body))
        for name, (body, _) in {**AT_WORK, "good": ("pass", "")}.items()
    ]
    chat = "import os; print('hello'); os.write(1, b'hello again')"
    talker = SEPARATOR.format(top=chat, name="talks", body=chat)
    wheels.append(wheel(root, "plugin-talks", "talks", talker))
    again = SEPARATOR.format(top="", name="twice", body="pass")
    wheels.append(wheel(root, "another-twice", "twice", again))
    site = root / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", site, *wheels], check=True)
    (site / "sepbench").symlink_to(Path(sepbench.__file__).parent)
    metadata = site / "sepbench-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sepbench\nVersion: 0.1.0\n")
    registered = {
        group: "".join(f"{p.name} = {p.value}\n" for p in entry_points(group=group))
        for group in ("sepbench.metrics", "sepbench.datasets")
    }
    text = "".join(f"[{group}]\n{points}" for group, points in registered.items())
    (metadata / "entry_points.txt").write_text(text)
    libraries = [
        path for path in sys.path if path.endswith("site-packages") or "lib-dynload" in path
    ]
    own = root / "libraries"
    own.mkdir()
    for folder in libraries:
        for item in Path(folder).iterdir():
            link = own / item.name
            if "sepbench" not in item.name and not link.exists():
                link.symlink_to(item)
    # Without its own site-packages, and so without the methods that sepbench brings.
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(own)])}


def sepbench_says(
    environment: dict[str, str], folder: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    code = "from sepbench.cli.main import main; main()"
    command = [sys.executable, "-S", "-c", code, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


@pytest.mark.slow
def test_methods_lists_each_with_its_reason(environment: dict[str, str], tmp_path: Path) -> None:
    result = sepbench_says(environment, tmp_path, "methods", "--json")
    assert result.returncode == 0, result.stderr
    listed = {method["name"]: method for method in json.loads(result.stdout)}
    assert set(listed) == {*AT_IMPORT, *AT_WORK, "good", "talks"}
    for name, (_, reason) in AT_IMPORT.items():
        assert not listed[name]["available"]
        assert reason in listed[name]["reason"]
    assert all(listed[name]["available"] for name in (*AT_WORK, "good", "talks"))
    assert "hello" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_what_a_plugin_prints_is_no_part_of_the_json(
    environment: dict[str, str], tmp_path: Path, isolate: str
) -> None:
    result = sepbench_says(
        environment, tmp_path, "evaluate", "-m", "talks", "--dataset", "simulated", "--track",
        "*-000", "--duration", "1", "--out", "run", "--json", isolate,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["run"] == "run"
    assert result.stderr.count("hello again") >= 2


@pytest.mark.slow
def test_an_evaluation_of_all_gives_each_its_row(
    environment: dict[str, str], tmp_path: Path
) -> None:
    result = sepbench_says(
        environment, tmp_path, "evaluate", "--all", "--dataset", "simulated", "--track", "*-000",
        "--duration", "2", "--timeout", "10", "--out", "run",
    )  # fmt: skip
    assert result.returncode == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    for name, (_, reason) in {**AT_IMPORT, **AT_WORK}.items():
        lines = [line for line in errors if line.startswith(f"error: {name} ")]
        assert len(lines) == 1, result.stderr
        assert reason in lines[0]
    assert len(errors) == len(AT_IMPORT) + len(AT_WORK)
    scores = (tmp_path / "run/scores.csv").read_text().splitlines()
    assert any(",good," in row for row in scores)
    assert any(",talks," in row for row in scores)
