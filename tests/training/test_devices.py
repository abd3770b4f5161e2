"""Training on the stand-in for a GPU: a tensor made on the CPU is found on any machine."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest
import torch
from standin import DEVICE, OnStandin, Standin

from sepbench import registry
from sepbench.training.config import read_config
from sepbench.training.model import Batch, Trainable

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def parameters_that_move() -> Iterator[None]:
    """Let networks get new parameters when they move, as a subclass of tensors needs."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    torch.__future__.set_overwrite_module_params_on_conversion(False)


@pytest.mark.parametrize("name", ["mask-cnn", "unet", "cdae", "blstm", "ibm-cnn"])
def test_the_loss_of_a_batch_is_computed_on_the_device(name: str) -> None:
    (method,) = registry.resolve(name)
    settings = read_config(name, "default")
    module, _, kind = method.separator.trainable.partition(":")
    trainable = getattr(import_module(module), kind)(settings.model)
    generator = torch.Generator().manual_seed(0)
    shape = 2, round(settings.recipe.seconds * trainable.rate)
    stems = {stem: 0.1 * torch.randn(shape, generator=generator) for stem in trainable.stems}
    stems["known"] = torch.ones(2, len(trainable.stems))  # For methods that know of it.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = trainable.network().eval()
        expected = loss(trainable, network, stems)
        with OnStandin():
            there = {stem: wave.to(DEVICE) for stem, wave in stems.items()}
            found = loss(trainable, network.to(DEVICE), there)
            assert isinstance(found, Standin)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def loss(trainable: Trainable, network: torch.nn.Module, stems: Batch) -> torch.Tensor:
    features = trainable.features(trainable.mixture(stems))
    return trainable.loss(network(features), trainable.targets(stems))
