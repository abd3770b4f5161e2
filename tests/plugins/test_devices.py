"""Bundled methods on the stand-in for a GPU: a tensor made on the CPU is found on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from standin import DEVICE, OnStandin, Standin

from sepbench import registry

from . import test_blstm, test_cdae

pytestmark = pytest.mark.usefixtures("parameters_that_move")

METHODS = (
    "mixture oracle-ibm oracle-irm oracle-mwf hpss repet-sim "
    "mask-cnn unet unet-stereo cdae blstm ibm-cnn"
).split()


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_method_makes_all_its_tensors_on_the_device(name: str) -> None:
    separates_there(name)


@pytest.mark.slow
def test_the_models_of_mixin_separate_on_the_device(tmp_path: Path) -> None:
    first = test_cdae.weight_file(tmp_path / "first.safetensors", test_cdae.MODEL)
    models = test_cdae.keras_models(tmp_path, load_file(first))
    with OnStandin():
        test_cdae.MixinExchange().read(models, tmp_path / "read.safetensors")
    separates_there(f"cdae[weights={tmp_path / 'read.safetensors'}]")


@pytest.mark.slow
def test_a_network_of_nussl_separates_on_the_device(tmp_path: Path) -> None:
    checkpoint, _ = test_blstm.as_published(test_blstm.small(), None)
    (tmp_path / "best.model.pth").write_bytes(checkpoint)
    with OnStandin():
        test_blstm.NusslExchange().read(tmp_path / "best.model.pth", tmp_path / "read.safetensors")
    separates_there(f"blstm[weights={tmp_path / 'read.safetensors'}]")


def separates_there(name: str) -> None:
    """Separate noise on the stand-in, and see that the stems are there."""
    (method,) = registry.resolve(name)
    separator_is_there(method.create())


def separator_is_there(separator: Any, *, loads: bool = True) -> None:
    """Separate noise on the stand-in; without ``loads`` the separator has its networks already."""
    generator = torch.Generator().manual_seed(0)
    rate = separator.sample_rate or 16000
    stems = {stem: 0.1 * torch.randn(2, 2 * rate, generator=generator) for stem in separator.stems}
    channels = separator.channels or 2
    mixture = torch.stack(list(stems.values())).sum(0)[:channels]
    with OnStandin(), torch.no_grad():
        if loads:
            separator.load(DEVICE)
        given = [mixture.to(DEVICE)]
        if separator.needs_references:
            given.append({stem: wave[:channels].to(DEVICE) for stem, wave in stems.items()})
        made = separator.separate(*given)
    assert made
    for stem, wave in made.items():
        assert isinstance(wave, Standin), stem
        assert wave.shape == mixture.shape
