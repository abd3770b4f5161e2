"""Losses of masks, by name.

A training config names its loss as ``objective``. To add one, add a `Loss` to `LOSSES`; every
network that estimates masks can then be trained with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import torch

    Targets = Mapping[str, torch.Tensor]
    Spectra = torch.Tensor


@dataclass(frozen=True)
class Loss:
    """A loss of masks in two steps: targets, and the value.

    Shape:
        ``targets(mixture, stem)``: two complex spectra ``(..., bins, frames)`` to real tensors,
        which `value` takes. Computed once for each example, without gradients.

        ``value(mask, targets, second)``: a mask ``(..., bins, frames)`` to losses ``(..., n)``,
        whose mean is minimised. ``second`` is the number of frames in one second.
    """

    targets: Callable[[Spectra, Spectra], Targets]
    value: Callable[[torch.Tensor, Targets, int], torch.Tensor]
    label: str
    """Description of the number."""
    is_mmse: bool = False
    """Whether the best mask is the one with the least mean squared error (a Wiener gain)."""


def _energies(mixture: Spectra, stem: Spectra) -> Targets:
    """Return the energies of mixture and stem, and their inner product, bin by bin."""
    return {
        "mixture": mixture.abs().square(),
        "stem": stem.abs().square(),
        "inner": mixture.real * stem.real + mixture.imag * stem.imag,
    }


def _energy(mask: torch.Tensor, targets: Targets, second: int) -> torch.Tensor:
    """Return ``log10(error / mixture)`` for each second, in bels.

    The error of the mask ``m`` is ``|m X - S|^2 = m^2 |X|^2 - 2 m Re(X* S) + |S|^2``: mixture
    phase included, so the minimum is the highest SDR that a real mask can reach. A floor 20 dB
    below the mixture keeps seconds without the stem from dominating the loss.
    """
    mixture = targets["mixture"]
    error = mask.square() * mixture - 2 * mask * targets["inner"] + targets["stem"]
    wrong, whole = segments(error, second), segments(mixture, second)
    floor = 1e-2 * whole + 1e-3 * whole.mean(-1, keepdim=True) + 1e-6
    return ((wrong.clamp_min(0) + floor) / (whole + floor)).log10()


def _magnitudes(mixture: Spectra, stem: Spectra) -> Targets:
    return {"mixture": mixture.abs(), "stem": stem.abs()}


def _magnitude(mask: torch.Tensor, targets: Targets, second: int) -> torch.Tensor:
    """Return the mean absolute difference of masked and true magnitudes (Jansson et al. 2017)."""
    return (mask * targets["mixture"] - targets["stem"]).abs().mean(-2)


def _labels(mixture: Spectra, stem: Spectra) -> Targets:
    """Return the ideal binary mask: 1 where the stem is louder than the rest of the mixture."""
    louder = stem.abs() > (mixture - stem).abs()
    return {"labels": louder.to(stem.real.dtype)}


def _cross_entropy(mask: torch.Tensor, targets: Targets, second: int) -> torch.Tensor:
    """Return the binary cross-entropy of a mask, cut to [0, 1], with labels 0 and 1."""
    from torch.nn import functional

    entropy = functional.binary_cross_entropy(mask.clamp(0, 1), targets["labels"], reduction="none")
    return entropy.mean(-2)


LOSSES: dict[str, Loss] = {
    "energy": Loss(_energies, _energy, "error over mixture, bels", is_mmse=True),
    "magnitude": Loss(_magnitudes, _magnitude, "mean absolute error"),
    "labels": Loss(_labels, _cross_entropy, "binary cross-entropy"),
}


def loss(name: str) -> Loss:
    """Return a loss by name; raise `SepbenchError` for an unknown one."""
    if name not in LOSSES:
        raise SepbenchError(f"objective {name!r}: choose one of {', '.join(LOSSES)}")
    return LOSSES[name]


def segments(energy: torch.Tensor, frames: int) -> torch.Tensor:
    """Sum ``(..., bins, frames)`` over bins and over segments of ``frames`` frames."""
    along = energy.sum(-2)
    count = max(1, along.shape[-1] // frames)
    length = min(frames, along.shape[-1])
    return along[..., : count * length].reshape(*along.shape[:-1], count, length).sum(-1)


def counts_of_known(known: torch.Tensor, stems: Sequence[str]) -> dict[str, float]:
    """Return the numbers of known stems, as `Trainable.counts` does for `mean_of_known`.

    Shape:
        known: 0 or 1, ``(batch, stems, ...)``.
    """
    each = {stem: float(known[:, number].sum()) for number, stem in enumerate(stems)}
    return {"loss": float(known.sum()), **each}


def mean_of_known(values: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return the mean of the losses of known stems, 0 where none is.

    Shape:
        values: any, of `Loss.value`.
        known: 0 or 1, broadcastable to ``values``.
    """
    share = known.expand_as(values)
    return (values * share).sum() / share.sum().clamp_min(1)
