"""What networks make of songs that reach above the band they were trained in.

Songs for training came to the trained rate by `sepbench.audio.resample`, whose filter falls off in
the top sixteenth of the band. A song at a higher rate is at full level there, and goes on above it:
neither is anything that the networks have ever heard, and at the full level the recurrent ones lose
their way in the whole of the band: 0.3 dB in the mean of six songs, 1.3 dB in one of them. So they
are shown what the resampler would have left. From where it falls off, the mask goes on as it is in
the octave below: its mean over the rows, each by its energy.

Powers of that mean, less of it by the odds and its mean over time are no better
(``benchmarks/above.py``). Logistic functions fitted to songs erred up to 7 dB more above the band
than silence does, on songs that were not among those.

Frequencies are given as places: 1 is half the trained rate.
"""

from __future__ import annotations

import torch

EDGE = 15 / 16
"""The place where the resampler begins to fall off."""

_SILENCE = 1e-12
"""Energy of a row in which nothing sounds; where all is silence, every row counts the same."""


def slope(places: torch.Tensor) -> torch.Tensor:
    """Return what resampling to the trained rate leaves of magnitudes ``(rows,)``.

    The filter is soxr's of very high quality, whose fall is an error function to within 0.015.
    """
    return 0.5 * torch.erfc((places - 0.9557) / 0.0141)


def extend(
    mask: torch.Tensor, magnitudes: torch.Tensor, places: torch.Tensor, rows: int
) -> torch.Tensor:
    """Return a mask of ``rows`` rows that is the given one up to `EDGE`.

    Shape:
        mask: ``(..., trained rows, frames)``.
        magnitudes: of the mixture, broadcastable to the mask.
        places: ``(trained rows,)``, rising.
        result: ``(..., rows, frames)``.
    """
    middle, end = (int((places < edge).sum()) for edge in (EDGE / 2, EDGE))
    energy = magnitudes[..., middle:end, :].square() + _SILENCE
    mean = (mask[..., middle:end, :] * energy).sum(-2, keepdim=True) / energy.sum(-2, keepdim=True)
    above = mean.expand(*mask.shape[:-2], rows - end, -1)
    return torch.cat([mask[..., :end, :], above], dim=-2)
