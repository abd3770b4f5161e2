"""Training on the stand-in for a GPU: a tensor made on the CPU is found on any machine."""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest
import torch
from standin import DEVICE, OnStandin, Standin
from torch.amp import GradScaler as CpuScaler

from sepbench import registry
from sepbench.training.config import read_config
from sepbench.training.loop import Run
from sepbench.training.model import Batch, Trainable
from sepbench.training.training_config import TrainingConfig

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("parameters_that_move")]


@pytest.mark.parametrize("name", ["mask-cnn", "unet", "unet-stereo", "cdae", "blstm", "ibm-cnn"])
def test_the_loss_of_a_batch_is_computed_on_the_device(name: str) -> None:
    trainable, seconds, _ = small_run(name)
    stems = example(trainable, seconds)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = trainable.network().eval()
        expected = loss(trainable, network, stems)
        with OnStandin():
            there = {stem: wave.to(DEVICE) for stem, wave in stems.items()}
            found = loss(trainable, network.to(DEVICE), there)
            assert isinstance(found, Standin)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def small_run(name: str) -> tuple[Trainable, float, TrainingConfig]:
    """Return what a method's default config trains, on how many seconds, and how."""
    (method,) = registry.resolve(name)
    settings = read_config(name, "default")
    module, _, kind = method.separator.trainable.partition(":")
    trainable = getattr(import_module(module), kind)(settings.model)
    return trainable, settings.examples.seconds, settings.training


def example(trainable: Trainable, seconds: float) -> Batch:
    """Return two passages of noise."""
    generator = torch.Generator().manual_seed(0)
    shape = 2, round(seconds * trainable.rate)
    stems = {stem: 0.1 * torch.randn(shape, generator=generator) for stem in trainable.stems}
    stems["known"] = torch.ones(2, len(trainable.stems))  # For methods that know of it.
    return stems


def loss(trainable: Trainable, network: torch.nn.Module, stems: Batch) -> torch.Tensor:
    features = trainable.features(trainable.mixture(stems))
    return trainable.loss(network(features), trainable.targets(stems))


@pytest.mark.parametrize("name", ["mask-cnn", "unet", "unet-stereo", "cdae", "blstm", "ibm-cnn"])
def test_a_step_of_training_is_taken_on_the_device(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half precision is for CUDA alone, and knows no other device's name.
    monkeypatch.setattr(torch, "autocast", lambda *given, **how: nullcontext())
    monkeypatch.setattr(torch.amp, "GradScaler", lambda *given, **how: CpuScaler(enabled=False))
    trainable, seconds, settings = small_run(name)
    stems = example(trainable, seconds)
    taken = {}
    for device in (torch.device("cpu"), DEVICE):
        with OnStandin(), torch.random.fork_rng(devices=[]):
            run = Run(trainable, settings, tmp_path, device)
            torch.manual_seed(0)  # The same parts drop out.
            found = run.step(stems, 1e-3)
        assert isinstance(next(run.averaged.parameters()), Standin) == (device == DEVICE)
        gradients = [parameter.grad for parameter in run.network.parameters()]
        taken[device] = found, [one.cpu() for one in gradients if one is not None]
    (losses, gradients), (expected, there) = taken[DEVICE], taken[torch.device("cpu")]
    assert losses == pytest.approx(expected, rel=1e-4)
    for one, other in zip(gradients, there, strict=True):
        # Where most terms of a sum cancel, rounding in another order is seen.
        assert float((one - other).norm()) <= 1e-2 * float(other.norm()) + 1e-7
