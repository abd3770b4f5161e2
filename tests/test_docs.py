"""What the guides tell people to type is typed here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sepbench.datasets.simulated import simulate
from sepbench.testing import dataset_checks, metric_checks
from sepbench.testing.examination import DATASET_CHECKS, METRIC_CHECKS

DOCS = Path(__file__).parent.parent / "docs"

PROGRAMS = {
    "pip": '-m pip "$@" -q --no-build-isolation --no-deps --no-index',
    "pytest": '-m pytest -p no:cacheprovider "$@"',
    "sepbench": '-c "from sepbench.cli.main import main; main()" "$@"',
}


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


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


def files(page: str) -> dict[str, str]:
    """Return the files that a page shows, by name."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return dict(found)


def follow(
    page: str,
    environment: dict[str, str],
    folder: Path,
    given: Mapping[str, str | bytes] | None = None,
) -> None:
    """Type the commands of a page in a folder that holds a song, and what else is given."""
    folder.mkdir()
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (44100, 2))
    soundfile.write(folder / "song.wav", noise, 44100)
    for name, text in {**files(page), **(given or {})}.items():
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    for command in "".join(blocks(page, "sh")).splitlines():
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_the_guide_to_plugins_leads_from_nothing_to_a_score(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    follow("writing-a-plugin.md", environment, folder)
    assert (folder / "separated/centre-cut/song/vocals.wav").is_file()
    scores = (folder / "results/excerpt/scores.csv").read_text()
    for label in ("centre-cut[sharpness=12]", "small-net[weights="):
        assert label in scores


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_the_guide_to_data_sets_leads_from_nothing_to_a_score(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    follow("writing-a-data-set.md", environment, folder)
    assert "my-song" in (folder / "results/two-stems-test/scores.csv").read_text()


ROFORMER = """
audio: {chunk_size: 44100, sample_rate: 44100}
model:
  {dim: 8, depth: 1, dim_head: 8, heads: 2, stereo: true, num_stems: 1, flash_attn: false,
   time_transformer_depth: 1, freq_transformer_depth: 1, mask_estimator_depth: 1,
   freqs_per_bands: !!python/tuple [64, 193], dim_freqs_in: 257,
   stft_n_fft: 512, stft_hop_length: 128, stft_win_length: 512}
training: {instruments: [vocals, other], target_instrument: vocals}
inference: {num_overlap: 2, dim_t: 101}
"""


def small_roformer(folder: Path) -> dict[str, str | bytes]:
    """Return the config and the checkpoint of a network that has learnt nothing."""
    pytest.importorskip("bs_roformer", reason="needs the extra roformer")
    import torch

    from sepbench_plugins.roformer import network
    from sepbench_plugins.roformer.config import read

    config, checkpoint = folder / "model.yaml", folder / "model.ckpt"
    config.write_text(ROFORMER)
    torch.save(network.build(read(config)).state_dict(), checkpoint)
    return {config.name: ROFORMER, checkpoint.name: checkpoint.read_bytes()}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_separators_of_the_user_are_rows(environment: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    pytest.importorskip("onnx", reason="needs onnx, to export a network")
    folder = tmp_path / "empty"
    follow("bring-your-own.md", environment, folder, small_roformer(tmp_path))
    scores = (folder / "results/excerpt/scores.csv").read_text()
    for label in (
        "command[file=mysep.yaml]",
        "roformer[config=model.yaml",
        "chain[repet-sim.accompaniment",
        "of=min]",
        "mine",
    ):
        assert label in scores
    assert (folder / "separated/onnx(middle.yaml)/song/vocals.wav").is_file()


def test_the_card_s_keys_in_the_guide_are_those_of_the_program() -> None:
    from dataclasses import fields

    from sepbench_plugins.command import PRESETS
    from sepbench_plugins.command.card import Card

    text = (DOCS / "bring-your-own.md").read_text(encoding="utf-8")
    for name in (*(field.name for field in fields(Card)), *PRESETS):
        assert f"`{name}`" in text


def test_the_test_in_the_guide_is_the_one_that_comes_with_a_plugin(tmp_path: Path) -> None:
    from sepbench.registry.scaffold import create

    create("centre-cut", tmp_path / "new")
    written = (tmp_path / "new/tests/test_conformance.py").read_text()
    (shown,) = blocks("writing-a-plugin.md", "python")
    assert "".join(shown.split()) == "".join(written.partition('"""\n\n')[2].split())


@pytest.mark.slow
def test_the_examples_for_python_run(tmp_path: Path) -> None:
    program = "if __name__ == '__main__':\n" + "".join(
        f"    {line}" for line in "".join(blocks("python.md", "python")).splitlines(keepends=True)
    )
    (tmp_path / "examples.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "examples.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "hpss" in done.stdout


@pytest.mark.slow
def test_the_notebook_runs_and_is_stored_without_output(tmp_path: Path) -> None:
    notebook = json.loads((DOCS / "tour.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    program = "\n".join("".join(cell["source"]) for cell in cells)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results/tour/run.json").is_file()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_the_guide_to_metrics_leads_from_nothing_to_a_score(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    for command in "".join(blocks("writing-a-metric.md", "sh")).splitlines():
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    scores = (folder / "results/excerpt/summary.csv").read_text()
    assert "vocals,vocals+drums+bass+other,crest-error,crest-error,median" in scores


def test_the_test_in_the_guide_to_metrics_is_the_one_that_comes_with_a_metric(
    tmp_path: Path,
) -> None:
    from sepbench.registry.scaffold import create

    create("crest-error", tmp_path / "new", kind="metric")
    written = (tmp_path / "new/tests/test_conformance.py").read_text()
    shown = blocks("writing-a-metric.md", "python")[-1]
    assert "".join(shown.split()) == "".join(written.partition('"""\n\n')[2].split())


def defined(page: str, name: str) -> type:
    """Return the class ``name`` that an example of a page defines."""
    (code,) = [block for block in blocks(page, "python") if f"class {name}(" in block]
    space: dict[str, type] = {}
    exec(code, space)  # noqa: S102 - our own page
    return space[name]


@pytest.mark.slow
@pytest.mark.parametrize("check", sorted(METRIC_CHECKS.keys() - {"golden-values"}))
def test_the_metric_of_the_guide_conforms(check: str) -> None:
    metric = defined("writing-a-metric.md", "SpectralConvergence")
    (found,) = [each for each in metric_checks(metric) if each.__name__ == check]
    found()


# A track is of FileTrack, so other processes can read it, whatever module its data set is of.
@pytest.mark.parametrize("check", DATASET_CHECKS)
def test_the_data_set_of_the_guide_conforms(check: str, tmp_path: Path) -> None:
    dataset = defined("writing-a-data-set.md", "Pairs")
    for subset, song in (("train", "one"), ("test", "two")):
        (tmp_path / subset).mkdir()
        for part, stem in simulate((len(song), len(subset)), 1.0, rate=8000).items():
            name = {"vocals": "vocals", "other": "backing"}.get(part)
            if name:
                soundfile.write(tmp_path / subset / f"{song}_{name}.flac", stem.T, 8000)
    (found,) = [each for each in dataset_checks(dataset, root=tmp_path) if each.__name__ == check]
    found()
