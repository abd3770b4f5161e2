from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sepbench.registry.methods import resolve
from sepbench.training.fused import fused


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "columns"),
    [("mask-cnn", 400), ("unet", 130), ("unet-stereo", 130), ("ibm-cnn", 60)],
)
def test_shipped_networks_make_the_same_masks_when_fused(method: str, columns: int) -> None:
    separator: Any = resolve(method)[0].create()
    separator.load(torch.device("cpu"))
    seed = torch.Generator().manual_seed(0)
    model = separator._model
    spectrum = torch.randn(2, model.bins, columns, dtype=torch.complex64, generator=seed)
    with torch.inference_mode():
        inputs = model.inputs(spectrum)
        mask, expected = (model.mask(n, inputs) for n in (separator._fused, separator._network))
    assert expected.std() > 0.01
    assert torch.allclose(mask, expected, atol=1e-5)


def test_an_activation_does_not_overwrite_the_input_of_a_sequence() -> None:
    network = fused(nn.Sequential(nn.ReLU(), nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1), nn.ReLU()))
    x = torch.tensor([[[-1.0, 1.0]]])
    network(x)
    assert x.tolist() == [[[-1.0, 1.0]]]


def test_the_network_itself_does_not_change() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).eval()
    fused(network)
    assert isinstance(network[1], nn.BatchNorm2d)
    assert all(parameter.requires_grad for parameter in network.parameters())
