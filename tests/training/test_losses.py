"""Each loss is lowest at the mask that its definition names, found here by calculus or by count."""

from __future__ import annotations

import pytest
import torch

from sepbench.errors import SepbenchError
from sepbench.training.losses import LOSSES, loss


@pytest.fixture
def spectra() -> tuple[torch.Tensor, torch.Tensor]:
    """Mixture and stem, each ``(3, 9, 40)``."""
    generator = torch.Generator().manual_seed(0)
    stem, other = torch.randn(2, 3, 9, 40, dtype=torch.complex64, generator=generator)
    return stem + other, stem


Spectra = tuple[torch.Tensor, torch.Tensor]


BEST = {
    "energy": lambda mixture, stem: (mixture.conj() * stem).real / mixture.abs().square(),
    "magnitude": lambda mixture, stem: stem.abs() / mixture.abs(),
    "labels": lambda mixture, stem: (stem.abs() > (mixture - stem).abs()).float(),
}
"""The mask at which each loss is lowest."""


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_lowest_at_its_best_mask(name: str, spectra: Spectra) -> None:
    chosen, best = loss(name), BEST[name](*spectra)
    targets = chosen.targets(*spectra)
    lowest = chosen.value(best, targets, 10).mean()
    for other in (0.9 * best, 0.9 * best + 0.1, 1 - best):
        assert chosen.value(other, targets, 10).mean() > lowest


def test_silence_costs_the_ratio_of_stem_and_mixture_in_bels(spectra: Spectra) -> None:
    energy = loss("energy")
    silence = energy.value(torch.zeros(3, 9, 40), energy.targets(*spectra), 40)
    mixture, stem = (spectrum.abs().square().sum((1, 2)) for spectrum in spectra)
    assert silence.mean().item() == pytest.approx((stem / mixture).log10().mean().item(), abs=0.02)


def test_the_loss_of_least_squares_is_the_only_mmse_one(spectra: Spectra) -> None:
    """The filter after the networks assumes this of `is_mmse`: no real mask has a lower error."""
    mixture, stem = spectra
    errors = {
        name: float((BEST[name](mixture, stem) * mixture - stem).abs().square().sum())
        for name in LOSSES
    }
    assert [name for name, entry in LOSSES.items() if entry.is_mmse] == [
        min(errors, key=errors.get)
    ]


@pytest.mark.parametrize("name", LOSSES)
def test_stems_beside_one_another_cost_the_mean_of_each(name: str, spectra: Spectra) -> None:
    mixture, stem = spectra
    chosen = loss(name)
    mask = torch.rand(3, 9, 40, generator=torch.Generator().manual_seed(1))
    each = [
        chosen.value(one, chosen.targets(mixture, part), 10).mean()
        for one, part in ((mask, stem), (1 - mask, mixture - stem))
    ]
    both = torch.stack([stem, mixture - stem], dim=1)
    targets = chosen.targets(mixture[:, None].expand_as(both), both)
    together = chosen.value(torch.stack([mask, 1 - mask], dim=1), targets, 10).mean()
    assert together.item() == pytest.approx(sum(each).item() / 2, rel=1e-5)


def test_an_unknown_loss_is_one_line() -> None:
    with pytest.raises(SepbenchError, match=r"objective 'beauty': choose one of .*energy"):
        loss("beauty")
