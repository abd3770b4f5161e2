"""Random initial weights, as in the frameworks of published systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

STARTS = ("torch", "keras", "glorot-normal")
"""Distributions of random weights: torch's own, Keras' (Glorot uniform), and Glorot normal."""

_WEIGHTED = (
    nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear
)  # fmt: skip


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's generators by ``seed`` within the block, and leave them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def initialise(network: nn.Module, start: str) -> None:
    """Draw the weights of convolutions and dense layers from one of `STARTS`.

    ``keras`` and ``glorot-normal`` are the uniform and the normal distribution of Glorot and Bengio
    (AISTATS 2010), with biases of zero.
    """
    if start == "torch":
        return
    draw = nn.init.xavier_uniform_ if start == "keras" else nn.init.xavier_normal_
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
