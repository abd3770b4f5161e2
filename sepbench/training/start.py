"""Random initial weights, as in the frameworks of published systems."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

STARTS = ("torch", "keras", "glorot-normal")
"""Names of starts: the layers' own; Keras' (Glorot uniform); Glorot normal."""

_WEIGHTED = (
    nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.Linear
)  # fmt: skip


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's generators by ``seed`` within the block, and leave them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def set_start(network: nn.Module, start: str) -> None:
    """Initialise the weights of convolutions and dense layers, by name of the scheme.

    ``keras`` and ``glorot-normal`` draw them as Glorot and Bengio (AISTATS 2010), uniform or
    normal, and set biases to zero.
    """
    if start == "torch":
        return
    draw = nn.init.xavier_uniform_ if start == "keras" else nn.init.xavier_normal_
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            draw(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def parts_without_gradient(network: nn.Module) -> list[str]:
    """Return the parts of a network whose gradients are all 0.

    Parts are the direct children of a network, such as the networks of a method with several. Parts
    without weights are left out; if all are dead the result is ``["network"]``.
    """
    moved = {}
    for name, part in network.named_children():
        if parameters := [p for p in part.parameters() if p.requires_grad]:
            moved[name] = any(map(_moved, parameters))
    alive = any(moved.values()) or any(map(_moved, network.parameters(recurse=False)))
    dead = [name for name in moved if not moved[name]]
    return dead if alive or not dead else ["network"]


def _moved(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.count_nonzero())
