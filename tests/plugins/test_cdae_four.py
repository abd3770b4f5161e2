from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from songs import noise

from sepbench.cli.main import main
from sepbench.errors import SepbenchError
from sepbench.weights import container, formats
from sepbench_plugins.cdae import Cdae
from sepbench_plugins.cdae.model import CdaeTrainable

CPU = torch.device("cpu")
CONFIG = Path(__file__).parents[2] / "configs" / "cdae" / "four-stems.yaml"
THREE = Cdae.folder / "weights" / "default.safetensors"
FOUR = ("vocals", "drums", "bass", "other")


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of four stems, made of the included ones of three."""
    out = tmp_path_factory.mktemp("four") / "begin.safetensors"
    formats.read_weights("cdae", THREE, out)
    return out


@pytest.mark.slow
def test_four_stems_begin_with_the_sounds_of_three(begin: Path) -> None:
    mixture = 0.1 * noise(1, 40_000)
    made = {}
    for name, options in (("three", Cdae.Options()), ("four", Cdae.Options(weights=str(begin)))):
        separator = Cdae(options)
        separator.load(CPU)
        with torch.inference_mode():
            stems = dict(separator.separate(mixture))
        stems[separator.stems[-1]] = mixture - sum(stems.values())
        made[name] = stems
    assert tuple(made["four"]) == FOUR
    # Bass and other begin as the same network, so they share what is not the voice or drums.
    bass, other = made["four"]["bass"], made["four"]["other"]
    assert float((bass - other).norm()) < 0.02 * float(bass.norm())
    voice, drums = (made["four"][stem] for stem in ("vocals", "drums"))
    for one, other in ((voice, made["three"]["vocals"]), (drums, made["three"]["percussive"])):
        assert float((one * other).sum() / (one.norm() * other.norm())) > 0.95


def test_weights_to_begin_with_are_not_offered_for_separation(tmp_path: Path) -> None:
    out = tmp_path / "begin.safetensors"
    words = ["weights", "import", "cdae", str(THREE), "--out", str(out)]
    told = CliRunner().invoke(main, words).output
    assert f"sepbench train cdae --config four-stems --init {out} -d SONGS" in told
    assert "sepbench separate" not in told  # Its bass would be its other.


def test_stems_are_those_of_the_weights(begin: Path) -> None:
    four = Cdae(Cdae.Options(weights=str(begin)))
    assert four.stems == FOUR
    assert four.remainder == "other"
    assert Cdae(Cdae.Options(weights=str(begin), instrumental=True)).stems == FOUR[1:]
    assert Cdae().stems == ("vocals", "percussive", "harmonic")


def test_weights_of_four_stems_or_of_another_method_do_not_begin_others(
    begin: Path, tmp_path: Path
) -> None:
    unet = Cdae.folder.parent / "unet" / "weights" / "default.safetensors"
    for file in (begin, unet):
        with pytest.raises(SepbenchError, match="not weights of cdae with the stems vocals"):
            formats.read_weights("cdae", file, tmp_path / "out.safetensors")


def test_the_loss_counts_known_stems_alone() -> None:
    trainable = CdaeTrainable(yaml.safe_load(CONFIG.read_text())["model"])
    assert trainable.stems == FOUR
    stems = {name: noise(2, 98_304, seed=seed) for seed, name in enumerate(FOUR)}
    known = torch.tensor([[True] * 4, [True, True, False, False]])
    targets = trainable.targets({**stems, "known": known})
    assert trainable.counts(targets) == {
        "loss": 6, "vocals": 2, "drums": 2, "bass": 1, "other": 1
    }  # fmt: skip
    output = torch.rand(2, 4, *targets["magnitudes"].shape[-2:])
    assert list(trainable.losses(output, targets)) == list(FOUR)
    other = {**stems, "bass": stems["other"], "other": stems["bass"]}
    exchanged = trainable.targets({**other, "known": known})
    only = known.clone()
    only[0, 2:] = False
    value = [
        float(trainable.loss(output, {**chosen, "known": only.float()[..., None]}))
        for chosen in (targets, exchanged)
    ]
    assert value[0] == pytest.approx(value[1], abs=1e-5)


def test_the_header_of_the_beginning_says_its_stems(begin: Path) -> None:
    header = container.read_header(begin)
    assert header["model"]["stems"] == list(FOUR)
    assert header["trained_on"] == container.read_header(THREE)["trained_on"]
