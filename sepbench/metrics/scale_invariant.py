"""The scores of nussl's ``BSSEvalScale``: by channel, with means removed.

With ``a = <e, s> / <s, s>``, all over a whole track (Le Roux et al. 2019)::

    SNR    = |s|^2 / |e - s|^2             SI-SDR = |a s|^2 / |e - a s|^2
    SD-SDR = a^2 SNR                       SRR    = 1 / (1 - 1 / a)^2

SI-SIR and SI-SAR split ``e - a s`` into its projection on the references of all stems and the rest.
All are functions of the inner products of references and errors, which one pass computes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sepbench.metrics.protocols import reduce
from sepbench.metrics.sdr import decibels

NAMES = ("SI-SDR", "SI-SIR", "SI-SAR", "SD-SDR", "SNR", "SRR")
"""The scores, in the order of nussl's reports."""

_BLOCK = 2**15
"""Samples of each channel processed in double precision at a time."""


def scores(
    references: Sequence[torch.Tensor], estimates: Sequence[torch.Tensor]
) -> list[dict[str, float]]:
    """Return the scores of each stem in dB, the median over channels; NaN for silence.

    A single stem has neither SI-SIR nor SI-SAR: nothing can interfere.

    Shape:
        each of references, estimates: ``(channels, samples)``, on one device.
    """
    stems = len(references)
    products = _products(references, estimates)
    by_channel = [
        [_of_channel(of_channel, stem, stems) for of_channel in products] for stem in range(stems)
    ]
    return [
        {
            name: reduce("median", [values[place] for values in channels])
            for place, name in enumerate(NAMES)
        }
        for channels in by_channel
    ]


def _products(
    references: Sequence[torch.Tensor], estimates: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Return the inner products of references and errors without their means.

    Shape:
        returns: float64 ``(channels, 2 * stems, 2 * stems)`` on the CPU: references, then errors.
    """
    samples = references[0].shape[1]
    size = 2 * len(references) + 1
    total = torch.zeros(len(references[0]), size, size, dtype=torch.float64)
    for start in range(0, samples, _BLOCK):
        block = slice(start, start + _BLOCK)
        true = torch.stack([signal[:, block] for signal in references], dim=1).double()
        made = torch.stack([signal[:, block] for signal in estimates], dim=1).double()
        # A row of ones gives the sums, for the means.
        rows = torch.cat([true, made - true, torch.ones_like(true[:, :1])], dim=1)
        total += (rows @ rows.mT).cpu()
    sums = total[:, :-1, -1:]
    return total[:, :-1, :-1] - sums * sums.mT / samples


def _of_channel(products: torch.Tensor, stem: int, stems: int) -> list[float]:
    """Return the scores of one stem and channel in the order of `NAMES`."""
    reference = products[stem, stem]
    error = products[stems + stem, stems + stem]
    inner = products[stem, stems + stem]
    if reference <= 0:
        return [float("nan")] * len(NAMES)
    scale = 1 + inner / reference
    target = scale**2 * reference
    # The part of the error orthogonal to the reference, and its products with all references.
    residual = (error - inner**2 / reference).clamp(min=0)
    gram = products[:stems, :stems]
    along = products[:stems, stems + stem] - gram[:, stem] * inner / reference
    interference = (along @ torch.linalg.pinv(gram, hermitian=True) @ along).clamp(min=0)
    artefacts = (residual - interference).clamp(min=0)
    snr = decibels(reference, error)
    si_sir, si_sar = decibels(target, interference), decibels(target, artefacts)
    if stems == 1:
        si_sir, si_sar = torch.full((2,), torch.nan)
    sd_sdr = snr + 20 * torch.log10(scale.abs())
    srr = -20 * torch.log10((1 - 1 / scale).abs())
    ordered = (decibels(target, residual), si_sir, si_sar, sd_sdr, snr, srr)
    return [float(value) for value in ordered]
