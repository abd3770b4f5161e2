from __future__ import annotations

import hashlib
import json
import os
import random
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from songs import noise, sdr

from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.separator import WeightFile
from sepbench.testing import examine
from sepbench.testing.check import FAILED
from sepbench.weights.files import fetch_missing
from sepbench_plugins.demucs import Demucs

pytest.importorskip("demucs", reason="the package is not installed")

from demucs import hf
from demucs.apply import apply_model
from demucs.demucs import Demucs as Waveform
from demucs.htdemucs import HTDemucs

from sepbench_plugins.demucs.models import apply, read_bag, read_model

CPU = torch.device("cpu")
SOURCES = ["drums", "bass", "other", "vocals"]
SMALL: dict[str, Any] = {
    "sources": SOURCES, "channels": 8, "nfft": 1024, "depth": 3, "multi_freqs_depth": 2,
    "t_layers": 1, "t_heads": 2, "segment": Fraction(1, 2),
}  # fmt: skip


def hybrid(seed: int) -> HTDemucs:
    torch.manual_seed(seed)
    return HTDemucs(**SMALL).eval()


def published(model: HTDemucs, path: Path) -> Path:
    """Write a model as its author does now: tensors, and JSON that says how it is built."""
    options = {**SMALL, "segment": {"_type": "fraction", "numerator": 1, "denominator": 2}}
    header = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(options)}
    state = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, path, metadata=header)
    return path


def test_models_are_run_by_the_package_without_torchaudio_where_it_is_installed() -> None:
    import sys

    from sepbench_plugins.demucs import backend

    assert sys.modules["demucs"].__name__ == "demucs"
    if backend.find_spec("demucs_infer") is None:
        pytest.skip("demucs-infer is not installed")
    assert backend.module_name() == "demucs_infer"
    assert backend.load("apply").BagOfModels.__module__ == "demucs_infer.apply"
    assert (Demucs().provenance["package"] or "").startswith("demucs-infer 4.")
    assert sys.modules["demucs"].__name__ == "demucs"


@pytest.mark.parametrize("module", ["demucs_infer", "demucs"])
def test_either_package_will_do(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    from sepbench_plugins.demucs import backend

    monkeypatch.setattr(backend, "find_spec", lambda name: object() if name == module else None)
    assert backend.module_name() == module
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert Demucs().needs[0].module == "demucs_infer"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [published(hybrid(seed), folder / f"{seed}.safetensors") for seed in (0, 1)]


def test_stems_are_those_of_the_package(files: list[Path]) -> None:
    theirs = hf.load_safetensors_model(files[0]).eval()
    song = 3 * noise(2, 44_100) + 0.5
    middle = song.mean(0)
    with torch.inference_mode():
        expected = apply_model(theirs, ((song - middle.mean()) / middle.std())[None], shifts=0)[0]
        made = apply(read_bag(files[:1], None, None), song, overlap=0.25, shifts=0)
    assert list(made) == SOURCES
    for index, stem in enumerate(SOURCES):
        assert torch.allclose(made[stem], expected[index] * middle.std() + middle.mean(), atol=1e-4)


def test_each_model_of_a_bag_counts_as_its_weights_say(files: list[Path]) -> None:
    song = noise(2, 20_000)
    with torch.inference_mode():
        alone = [apply(read_bag([file], None, None), song, overlap=0.0, shifts=0) for file in files]
        both = apply(
            read_bag(files, ((1, 0, 1, 1), (0, 1, 1, 3)), None), song, overlap=0.0, shifts=0
        )
    assert torch.allclose(both["drums"], alone[0]["drums"], atol=1e-5)
    assert torch.allclose(both["bass"], alone[1]["bass"], atol=1e-5)
    assert torch.allclose(both["other"], (alone[0]["other"] + alone[1]["other"]) / 2, atol=1e-5)
    vocals = (alone[0]["vocals"] + 3 * alone[1]["vocals"]) / 4
    assert torch.allclose(both["vocals"], vocals, atol=1e-5)


@pytest.mark.slow
def test_chance_has_no_part_in_it(files: list[Path]) -> None:
    song = noise(2, 30_000)
    before, chance = random.getstate(), torch.get_rng_state()
    models = read_bag(files[:1], None, None)
    with torch.inference_mode():
        first = apply(models, song, overlap=0.25, shifts=2)
        assert random.getstate() == before
        assert torch.equal(torch.get_rng_state(), chance)
        again = apply(models, song, overlap=0.25, shifts=2)
        still = apply(models, song, overlap=0.25, shifts=0)
    assert torch.equal(first["vocals"], again["vocals"])
    assert not torch.equal(first["vocals"], still["vocals"])


def test_a_louder_song_has_louder_stems(files: list[Path]) -> None:
    song, models = noise(2, 20_000), read_bag(files[:1], None, None)
    with torch.inference_mode():
        stem = apply(models, song, overlap=0.25, shifts=0)["drums"]
        loud = apply(models, 4 * song, overlap=0.25, shifts=0)["drums"]
    assert sdr(4 * stem, loud) > 60


@pytest.mark.parametrize("song", [torch.zeros(2, 9_000), torch.ones(2, 1)])
def test_silence_and_a_single_sample_come_back_finite(
    files: list[Path], song: torch.Tensor
) -> None:
    with torch.inference_mode():
        stems = apply(read_bag(files[:1], None, None), song, overlap=0.25, shifts=0)
    assert all(stem.shape == song.shape and stem.isfinite().all() for stem in stems.values())


def packaged(**changes: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    options = {"sources": SOURCES, "channels": 8, "depth": 2, "lstm_layers": 0}
    return {
        "klass": Waveform,
        "args": (),
        "kwargs": {**options, "segment": Fraction(3, 2), "forgotten": 1},
        "state": Waveform(**options).state_dict(),
        "training_args": {"best": np.float64(1.5)},
        **changes,
    }


def test_a_packaged_model_is_read(tmp_path: Path) -> None:
    torch.save(packaged(), tmp_path / "a.th")
    model = read_model(tmp_path / "a.th")
    song = noise(1, 2, 5_000)
    whole = Waveform(SOURCES, channels=8, depth=2, lstm_layers=0).eval()
    whole.load_state_dict(packaged()["state"])
    with torch.inference_mode():
        assert torch.equal(model(song), whole(song))
    assert model.segment == Fraction(3, 2)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, ("evil",))


@pytest.mark.parametrize(
    "package",
    [packaged(klass=os.mkdir), packaged(args=Evil()), packaged(klass=Fraction), packaged(state={})],
)
def test_any_other_package_is_refused(
    package: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(package, "a.th")
    with pytest.raises(SepbenchError, match="not a model of demucs"):
        read_model(Path("a.th"))
    assert not Path("evil").exists()


def test_tensors_of_another_class_are_refused(files: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1)}, file, metadata={"klass": "os.system", "args": "[]"})
    with pytest.raises(SepbenchError, match="not a model of demucs"):
        read_model(file)
    file.write_bytes(files[0].read_bytes()[:-100])
    with pytest.raises(SepbenchError, match="not a model of demucs"):
        read_model(file)


@pytest.fixture
def installed(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Demucs]:
    """The method with a small model to be fetched in place of its default one."""
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path))
    others = Demucs.weight_files.fget  # type: ignore[attr-defined]
    sha256 = hashlib.sha256(files[0].read_bytes()).hexdigest()
    small = (WeightFile("one.safetensors", sha256, files[0].as_uri()),)

    def weight_files(self: Demucs) -> tuple[WeightFile, ...]:
        return small if self.options.model == "htdemucs" else others(self)

    monkeypatch.setattr(Demucs, "weight_files", property(weight_files))
    return Demucs


def test_a_method_with_small_models_separates_a_song(installed: type[Demucs]) -> None:
    separator = installed()
    with pytest.raises(SepbenchError, match="'sepbench weights fetch demucs' fetches them"):
        separator.load(CPU)
    fetch_missing(separator)
    separator.load(CPU)
    made = runner.separate(separator, noise(1, 9_001).numpy(), rate=22_050, device=CPU).stems
    assert set(made) == set(SOURCES)
    assert {stem.shape for stem in made.values()} == {(1, 9_001)}


@pytest.mark.slow
def test_it_keeps_to_the_contract(installed: type[Demucs]) -> None:
    fetch_missing(installed())
    failed = [
        outcome.line() for outcome in examine(installed, seconds=2.0) if outcome.status == FAILED
    ]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("model", ["htdemucs", "htdemucs_ft", "mdx"])
def test_published_files_are_recognised_by_their_full_hash(model: str) -> None:
    bag = Demucs(Demucs.Options(model=model))
    for file in bag.weight_files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.url is not None
        # Either the name has the hash's beginning, or the address that of a commit.
        assert file.sha256[:8] in file.file or re.search("/resolve/[0-9a-f]{40}/", file.url)
    assert len({file.sha256 for file in bag.weight_files}) == len(bag.weight_files)
