"""Bundled methods on the stand-in for a GPU: a tensor made on the CPU is found on any machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from standin import DEVICE, OnStandin, Standin

from sepbench import registry

METHODS = (
    "mixture oracle-ibm oracle-irm oracle-mwf hpss repet-sim mask-cnn unet cdae blstm ibm-cnn"
).split()


@pytest.fixture(autouse=True)
def parameters_that_move() -> Iterator[None]:
    """Let networks get new parameters when they move, as a subclass of tensors needs."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    torch.__future__.set_overwrite_module_params_on_conversion(False)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_method_makes_all_its_tensors_on_the_device(name: str) -> None:
    (method,) = registry.resolve(name)
    separator = method.create()
    generator = torch.Generator().manual_seed(0)
    rate = separator.sample_rate or 16000
    stems = {stem: 0.1 * torch.randn(2, 2 * rate, generator=generator) for stem in separator.stems}
    channels = separator.channels or 2
    mixture = torch.stack(list(stems.values())).sum(0)[:channels]
    with OnStandin(), torch.no_grad():
        separator.load(DEVICE)
        given = [mixture.to(DEVICE)]
        if separator.needs_references:
            given.append({stem: wave[:channels].to(DEVICE) for stem, wave in stems.items()})
        made = separator.separate(*given)
    assert made
    for stem, wave in made.items():
        assert isinstance(wave, Standin), stem
        assert wave.shape == mixture.shape
