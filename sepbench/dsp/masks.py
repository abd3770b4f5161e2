"""Time-frequency masks: the share of each bin that belongs to a source."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def soft_mask(
    target: torch.Tensor, rest: torch.Tensor, *, power: float = 2.0, silence: float = 0.5
) -> torch.Tensor:
    """Return ``target^power / (target^power + rest^power)``, in [0, 1].

    If both are silent the mask is ``silence``. An infinite power gives the binary mask
    ``target > rest``.

    Shape:
        target, rest: non-negative magnitudes of the same shape, which the mask has too.

    >>> soft_mask(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 0.0]))
    tensor([0.9000, 0.5000])
    """
    if math.isinf(power):
        return (target > rest).to(target.dtype)
    loudest = torch.maximum(target, rest)
    silent = loudest < torch.finfo(target.dtype).tiny
    # Relative to the louder of the two, so that powers neither under- nor overflow.
    scale = loudest.masked_fill(silent, 1.0)
    ours, theirs = (target / scale).pow_(power), (rest / scale).pow_(power)
    return ours.div_(theirs.add_(ours)).masked_fill_(silent, silence)


def ratio_masks(sources: Sequence[torch.Tensor], *, power: float = 2.0) -> list[torch.Tensor]:
    """Return for each source its share ``s^power`` of the sum over all sources.

    The masks sum to one; if all are silent they are equal. Power 2 gives the Wiener
    filter of uncorrelated sources.

    Shape:
        sources: non-negative magnitudes of one shape, which each mask has too.

    >>> ratio_masks([torch.tensor([3.0]), torch.tensor([1.0])])
    [tensor([0.9000]), tensor([0.1000])]
    """
    loudest = sources[0]
    for source in sources[1:]:
        loudest = torch.maximum(loudest, source)
    silent = loudest < torch.finfo(loudest.dtype).tiny
    scale = loudest.masked_fill(silent, 1.0)
    powers = [(source / scale).pow_(power) for source in sources]
    total = torch.stack(powers).sum(0).masked_fill_(silent, 1.0)
    return [share.div_(total).masked_fill_(silent, 1.0 / len(powers)) for share in powers]


def binary_mask(
    source: torch.Tensor, mixture: torch.Tensor, *, power: float = 1.0, threshold: float = 0.5
) -> torch.Tensor:
    """Return 1 where ``(source / mixture)^power`` reaches ``threshold``, else 0.

    If the source is silent the mask is 0.

    Shape:
        source, mixture: non-negative magnitudes of one shape, which the mask has too.

    >>> binary_mask(torch.tensor([3.0, 1.0, 0.0]), torch.tensor([4.0, 4.0, 0.0]))
    tensor([1., 0., 0.])
    """
    share = threshold ** (1.0 / power)
    chosen: torch.Tensor = (source >= share * mixture) & (source > 0)
    return chosen.to(source.dtype)
