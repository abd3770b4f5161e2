from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from songs import noise

from sepbench_plugins.cdae.convert import MODEL
from sepbench_plugins.cdae.fused import arrange
from sepbench_plugins.cdae.masking import magnitude
from sepbench_plugins.cdae.network import PublishedNet, StridedNet

from .test_cdae import SMALL, loaded, separate, weight_file


def heard(network: torch.nn.Module, bands: int, frames: int) -> torch.Tensor:
    levels = noise(2 * bands, frames).abs().view(2, bands, frames)
    with torch.inference_mode():
        made: torch.Tensor = network(levels)
    return made


def experienced(network: torch.nn.Module) -> torch.nn.Module:
    """Give a network weights, and norms a past, that differ from place to place."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            drawn = 0.2 * torch.randn(tensor.shape, generator=generator)
            tensor.copy_(1 + drawn if "var" in name else drawn)
    return network.eval()


@pytest.mark.parametrize(("bands", "frames"), [(96, 1948), (3, 1), (33, 25), (6, 51), (9, 53)])
def test_published_networks_arranged_hear_the_same(bands: int, frames: int) -> None:
    networks = [experienced(PublishedNet()), experienced(PublishedNet())]
    with torch.no_grad():
        for network in networks:
            network.get_parameter("last.weight").abs_()
        networks[1].get_parameter("convs.0.weight").neg_()
    plain = torch.stack([heard(network, bands, frames) for network in networks], dim=1)
    assert plain.any()
    rows = heard(arrange(torch.nn.ModuleList(networks)), bands, frames)
    together = rows.repeat_interleave(3, dim=2)
    assert torch.allclose(together, plain, atol=1e-6 * float(plain.max()))


@pytest.mark.parametrize("frames", [64, 100])
def test_strided_networks_arranged_hear_the_same(frames: int) -> None:
    network = experienced(StridedNet(64, widths=(4, 6), bottleneck=8, dilations=(1, 2)))
    plain = heard(network, 64, frames)
    assert 0.1 < float(plain.std()) < 1
    arranged = arrange(torch.nn.ModuleList([network]))
    alone = next(iter(arranged.children()))
    assert torch.allclose(heard(alone, 64, frames), plain, atol=1e-5)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in alone.get_submodule("stem"))
    assert torch.allclose(heard(network, 64, frames), plain, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"single_model": True}, {"full_band": False}])
@pytest.mark.parametrize("model", [SMALL, {**MODEL, "rate": 22050, "samples": 11008}])
def test_arranged_networks_make_the_same_stems(
    model: dict[str, Any], options: dict[str, bool], tmp_path: Path
) -> None:
    separator = loaded(weight_file(tmp_path / "w.safetensors", model), **options)
    song = 0.3 * noise(1, 30_000)
    arranged = separate(separator, song)
    separator._fused = separator._network
    for stem, expected in separate(separator, song).items():
        assert torch.allclose(arranged[stem], expected, atol=1e-5)


def test_arranging_draws_no_random_numbers() -> None:
    networks = torch.nn.ModuleList([PublishedNet(), StridedNet()])
    for network in networks:
        before = torch.random.get_rng_state()
        arrange(torch.nn.ModuleList([network]))
        assert torch.equal(torch.random.get_rng_state(), before)


def test_magnitudes_are_those_of_complex_numbers() -> None:
    bands = torch.complex(noise(3, 50), noise(3, 50, seed=1)) * torch.logspace(-12, 12, 50)
    assert torch.allclose(magnitude(bands), bands.abs(), rtol=1e-6)
    assert not magnitude(torch.zeros(2, dtype=torch.complex64)).any()
