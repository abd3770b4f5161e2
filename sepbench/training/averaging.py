"""Moving averages of weights, and batch statistics over many batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim import swa_utils

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


def update_bn(network: nn.Module, inputs: Iterable[torch.Tensor]) -> None:
    """Set the statistics of batch normalisation to their means over ``inputs``, without dropout."""
    for module in network.modules():  # Statistics are computed in training mode.
        if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0
    swa_utils.update_bn(inputs, network)
