"""Moving averages of weights."""

from __future__ import annotations

from collections.abc import Callable

import torch

_Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


def moving(decay: float) -> Callable[[_Tensors, _Tensors, torch.Tensor | int], None]:
    """Average with a decay that grows from 0.1, so that the initial weights soon lose influence."""

    @torch.no_grad()
    def update(averages: _Tensors, news: _Tensors, count: torch.Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for average, new in zip(averages, news, strict=True):
            if average.is_floating_point():
                average.lerp_(new, share)
            else:
                average.copy_(new)

    return update
