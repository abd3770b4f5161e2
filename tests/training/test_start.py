from __future__ import annotations

import pytest
import torch
from torch import nn

from sepbench.training.start import parts_without_gradient, set_start
from sepbench_plugins.cdae.model import CdaeTrainable

PUBLISHED = {
    "architecture": "published", "rate": 8000, "bands": 96, "samples": 8192, "overlap": 0,
    "objective": "magnitude",
}  # fmt: skip


def dead_networks(start: str, seeds: int) -> int:
    """Count networks whose output, and so whose gradient, is zero from the start."""
    count = 0
    for seed in range(seeds):
        torch.manual_seed(seed)
        trainable = CdaeTrainable(PUBLISHED)
        network = trainable.network()
        set_start(network, start)
        features = trainable.features(0.1 * torch.randn(1, 8192))
        network(features).sum().backward()
        count += len(parts_without_gradient(network))
    return count


def test_published_autoencoders_live_with_keras_start_and_often_die_with_torchs() -> None:
    assert dead_networks("keras", 6) == 0
    assert dead_networks("torch", 6) > 0


def test_keras_start_is_glorot_uniform_with_zero_bias() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, (12, 3))
    set_start(layer, "keras")
    limit = (6 / (8 * 36 + 16 * 36)) ** 0.5
    assert layer.bias is not None
    assert not layer.bias.any()
    assert layer.weight.abs().max() <= limit
    assert float(layer.weight.detach().std()) == pytest.approx(limit / 3**0.5, rel=0.05)


def test_a_part_is_dead_only_if_all_its_gradients_are_zero() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.fill_(-1.0)
    network(torch.ones(3, 2)).sum().backward()
    assert parts_without_gradient(network) == ["0"]
    set_start(network, "keras")
