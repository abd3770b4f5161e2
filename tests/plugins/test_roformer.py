"""RoFormers beside the packages that define them, on small networks made here."""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from roformer_files import CPU, files, loaded
from songs import noise

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench_plugins.roformer import Roformer, packages
from sepbench_plugins.roformer.config import read

for module in ("bs_roformer", "mel_band_roformer"):
    pytest.importorskip(module, reason="needs the extra roformer")


def by_the_package(kind: str, config: Path, checkpoint: Path, mixture: torch.Tensor) -> Any:
    """Separate by the package's own reading of MSST."""
    from ml_collections import ConfigDict

    package = {"bs": "bs_roformer", "mel": "mel_band_roformer"}[kind]
    utils = __import__(f"{package}.utils", fromlist=["utils"])
    loader = __import__(f"{package}.inference", fromlist=["inference"]).SafeLoaderWithTuple
    values = ConfigDict(yaml.load(config.read_text(), Loader=loader))  # noqa: S506
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        model = utils.get_model_from_config(
            {"bs": "bs_roformer", "mel": "mel_band_roformer"}[kind], values
        ).eval()
        model.load_state_dict(torch.load(checkpoint, weights_only=True))
        made, _ = utils.demix_track(values, model, mixture, CPU)
    return made


@pytest.mark.parametrize("kind", ["bs", "mel"])
@pytest.mark.parametrize("target", ["null", "vocals"])
def test_stems_are_those_of_the_package(tmp_path: Path, kind: str, target: str) -> None:
    config, checkpoint = files(tmp_path, kind, target=target)
    mixture = 0.1 * noise(2, 13_333)
    expected = by_the_package(kind, config, checkpoint, mixture)
    with torch.inference_mode():
        made = loaded(config, checkpoint).separate(mixture)
    assert np.abs(expected["vocals"]).max() > 1e-3
    np.testing.assert_allclose(made["vocals"].numpy(), expected["vocals"], rtol=0, atol=1e-5)
    if target == "null":
        np.testing.assert_allclose(made["accompaniment"], expected["other"], rtol=0, atol=1e-5)


def test_augmentation_makes_swapped_and_negated_songs_come_out_alike(tmp_path: Path) -> None:
    separator = loaded(*files(tmp_path), tta=True)
    mixture = 0.1 * noise(2, 9_000)
    with torch.inference_mode():
        made = separator.separate(mixture)["vocals"]
        plain = loaded(*files(tmp_path))
        parts = [
            plain.separate(mixture)["vocals"],
            plain.separate(mixture.flip(0))["vocals"].flip(0),
            -plain.separate(-mixture)["vocals"],
        ]
    torch.testing.assert_close(made, sum(parts) / 3)


@pytest.mark.parametrize("wrapped", ["state", "state_dict", "model_state_dict"])
def test_tensors_are_found_under_their_names(tmp_path: Path, wrapped: str) -> None:
    loaded(*files(tmp_path, wrapped=wrapped))


def test_a_target_leaves_the_rest(tmp_path: Path) -> None:
    separator = loaded(*files(tmp_path, target="vocals"))
    assert separator.stems == ("vocals", "accompaniment")
    assert separator.remainder == "accompaniment"
    mixture = 0.1 * noise(2, 9_000).numpy()
    made = runner.separate(separator, mixture, rate=44_100, device=CPU).stems
    np.testing.assert_allclose(made["vocals"] + made["accompaniment"], mixture, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "rest"), [("drums", "no_drums"), ("guitar", "no_guitar"), ("vocals", "accompaniment")]
)
@pytest.mark.parametrize("order", ["{0}, other", "other, {0}"])
@pytest.mark.parametrize("target", ["null", "{0}", "other"])
def test_other_beside_one_stem_is_the_rest_of_the_song(
    tmp_path: Path, first: str, rest: str, order: str, target: str
) -> None:
    config, _ = files(tmp_path, target=target.format(first), depth=1)
    text = config.read_text().replace("[vocals, other]", f"[{order.format(first)}]")
    config.write_text(text)
    found = read(config)
    assert {*found.stems, found.remainder} - {None} == {first, rest}
    assert found.remainder == {"null": None, "{0}": rest, "other": first}[target]


def test_a_checkpoint_that_does_not_fit_says_how_many_keys(tmp_path: Path) -> None:
    _, checkpoint = files(tmp_path)
    other, _ = files(tmp_path, depth=2)
    with pytest.raises(SepbenchError, match=r"of \d+ keys \d+ are missing \(layers.1.0") as caught:
        loaded(other, checkpoint)
    assert str(caught.value).count("layers.1.") == 3
    other, _ = files(tmp_path, dim=16)
    with pytest.raises(SepbenchError, match=r"\d+ have other shapes \("):
        loaded(other, checkpoint)


def test_a_checkpoint_of_nan_is_refused(tmp_path: Path) -> None:
    config, checkpoint = files(tmp_path)
    state = torch.load(checkpoint, weights_only=True)
    next(iter(tensor for tensor in state.values() if tensor.is_floating_point())).fill_(np.nan)
    torch.save(state, checkpoint)
    with pytest.raises(SepbenchError, match=r"model.ckpt: 1 of \d+ tensors hold NaN or infinity"):
        loaded(config, checkpoint)


def test_no_code_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    config, checkpoint = files(tmp_path)
    torch.save({"state_dict": print}, checkpoint)
    with pytest.raises(
        SepbenchError, match="not a checkpoint of tensors alone; save its state_dict"
    ):
        loaded(config, checkpoint)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "dim_head:",
            "dim_haed:",
            "config.yaml: model: no key 'dim_haed'; did you mean 'dim_head'?",
        ),
        ("model:\n", "modle:\n", "not a config of MSST: the section 'model' is missing"),
        ("  dim: 8\n", "", "not the config of a RoFormer: model: dim, depth"),
        ("  - 33", "  - 34", "no network can be built of it: "),
        ("instruments: [vocals, other]", "instruments: []", "training: instruments is missing"),
        ("chunk_size: 4000", "chunk_size: many",
         "config.yaml: audio: chunk_size: expected a whole number above 0, not 'many'"),
        ("num_overlap: 2", "num_overlap: 0",
         "config.yaml: inference: num_overlap: expected a whole number above 0, not 0"),
        ("num_overlap: 2", "num_overlap: 4001",
         "a chunk of 4000 samples cannot begin every 1/4001 of its length; give a smaller num_ov"),
        ("  num_stems: 2", "  num_stems: 3",
         "model: num_stems: 3, but by the section training the network makes vocals, accompanime"),
        ("target_instrument: null", "target_instrument: vocals",
         "model: num_stems: 2, but by the section training the network makes vocals; correct num"),
        ("[vocals, other]", "vocals", "training: instruments: expected a list, not 'vocals'"),
        ("  dim: 8", "  dim: 8\n  skip_connection: true",
         "model: skip_connection: bs-roformer-infer cannot add the outputs of earlier layers"),
        ("num_overlap: 2", 'num_overlap: 2\n  normalize: "false"',
         "config.yaml: inference: normalize: expected true or false, not 'false'"),
        ("stereo: True", 'stereo: "no"', "model: stereo: expected true or false, not 'no'"),
        ("sample_rate: 44100", "sample_rate: .nan", "sample_rate: expected a whole number above 0"),
        ("chunk_size: 4000", "chunk_size: .inf", "chunk_size: expected a whole number above 0"),
        ("inference:\n  num_overlap: 2\n  dim_t: 101", "inference: [2]",
         "config.yaml: inference: expected 'key: value' lines, not [2]"),
        ("!!python/tuple", "!!python/object/apply:os.system",
         "could not determine a constructor for the tag"),
    ],
)  # fmt: skip
def test_a_wrong_config_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    config, checkpoint = files(tmp_path)
    config.write_text(config.read_text().replace(old, new))
    with pytest.raises(SepbenchError) as caught:
        loaded(config, checkpoint).stems  # noqa: B018
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("both", [True, False])
def test_a_package_of_the_same_module_is_named(monkeypatch: Any, both: bool) -> None:
    here = {"bs-roformer": "1.2.4", **({"bs-roformer-infer": "0.1.5"} if both else {})}

    def version(name: str) -> str:
        if name not in here:
            raise PackageNotFoundError(name)
        return here[name]

    monkeypatch.setattr(packages, "version", version)
    found = packages.conflict("bs") or ""
    assert ("overwrite each other" if both else "cannot load such checkpoints") in found
    assert "pip uninstall bs-roformer" in found
    assert packages.conflict("mel") is None


def test_without_files_it_says_what_to_give() -> None:
    assert not registry.plugin("roformer").broken
    with pytest.raises(SepbenchError, match=r"roformer\[config=FILE.yaml,checkpoint=FILE.ckpt\]"):
        Roformer().stems  # noqa: B018
