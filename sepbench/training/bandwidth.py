"""Bandwidth extension: masks above the trained band of a network.

Training songs were resampled to the trained rate, by a filter that falls off in the top sixteenth
of the band. A song at a higher rate has its full level there and continues above. With such input,
absent from training, recurrent networks lose 0.3 dB over the whole band on average over six songs,
and 1.3 dB on one of them. So `slope` attenuates their input like the resampler, and `extend`
continues the mask from there with its mean over the octave below, weighted by energy.

Powers of that mean, shrinking it by the odds, and its mean over time are no better
(``benchmarks/bandwidth.py``). Logistic functions fitted to songs erred by up to 7 dB more above the
band than silence does, on songs that they were not fitted to.

Frequencies are relative: 1 is half the trained rate.
"""

from __future__ import annotations

import torch

EDGE = 15 / 16
"""Relative frequency at which the resampler's response begins to fall."""

_SILENCE = 1e-12
"""Added to the energy of a row, so that all rows have the same weight in silence."""


def slope(frequencies: torch.Tensor) -> torch.Tensor:
    """Return the gain of resampling to the trained rate at each of ``frequencies``, ``(rows,)``.

    soxr's filter of very high quality falls off as an error function, to within 0.015.
    """
    return 0.5 * torch.erfc((frequencies - 0.9557) / 0.0141)


def extend(
    mask: torch.Tensor, magnitudes: torch.Tensor, frequencies: torch.Tensor, rows: int
) -> torch.Tensor:
    """Continue a mask above `EDGE`, to ``rows`` rows.

    Shape:
        mask: ``(..., trained rows, frames)``.
        magnitudes: of the mixture, broadcastable to the mask.
        frequencies: ``(trained rows,)``, increasing.
        result: ``(..., rows, frames)``.
    """
    middle, end = (int((frequencies < edge).sum()) for edge in (EDGE / 2, EDGE))
    energy = magnitudes[..., middle:end, :].square() + _SILENCE
    mean = (mask[..., middle:end, :] * energy).sum(-2, keepdim=True) / energy.sum(-2, keepdim=True)
    above = mean.expand(*mask.shape[:-2], rows - end, -1)
    return torch.cat([mask[..., :end, :], above], dim=-2)
