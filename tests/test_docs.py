"""What the guides tell people to type is typed here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

GUIDE = Path(__file__).parent.parent / "docs/writing-a-plugin.md"

PROGRAMS = {
    "pip": '-m pip "$@" -q --no-build-isolation --no-deps --no-index',
    "pytest": '-m pytest -p no:cacheprovider "$@"',
    "sepbench": '-c "from sepbench.cli.main import main; main()" "$@"',
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A fresh virtual environment that has what this one has, and no network."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=os.name != "nt")
    (site,) = folder.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    (site / "ours.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in ours)
    )
    for name, arguments in PROGRAMS.items():
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" {arguments}\n')
        program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_the_guide_to_plugins_leads_from_nothing_to_a_score(
    environment: dict[str, str], tmp_path: Path
) -> None:
    import numpy as np
    import soundfile

    folder = tmp_path / "empty"
    folder.mkdir()
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (44100, 2))
    soundfile.write(folder / "song.wav", noise, 44100)
    for command in "".join(blocks("sh")).splitlines():
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (folder / "separated/centre-cut/song/vocals.wav").is_file()
    scores = (folder / "results/excerpt/scores.csv").read_text()
    for label in ("centre-cut[sharpness=12]", "small-net[weights="):
        assert label in scores


def test_the_test_in_the_guide_is_the_one_that_comes_with_a_plugin(tmp_path: Path) -> None:
    from sepbench.registry.scaffold import create

    create("centre-cut", tmp_path / "new")
    written = (tmp_path / "new/tests/test_conformance.py").read_text()
    (shown,) = blocks("python")
    assert "".join(shown.split()) == "".join(written.partition('"""\n\n')[2].split())
