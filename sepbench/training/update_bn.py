"""Statistics of batch normalisation taken anew, once the weights are final."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from sepbench.training.model import Batch, Trainable


@torch.no_grad()
def settle(trainable: Trainable, network: nn.Module, batches: Iterable[Batch]) -> None:
    """Replace the running statistics of a network by their plain mean over ``batches``.

    What they are after training is an average over few small batches and over weights that moved on
    since.
    """
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    norms = [module for module in network.modules() if isinstance(module, kinds)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    # Dropout stays out of it: only what is normalised goes by the batch.
    network.eval()
    for norm in norms:
        norm.train()
    for stems in batches:
        network(trainable.features(trainable.mixture(stems)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
