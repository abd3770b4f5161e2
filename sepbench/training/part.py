"""Training of a part of a network; the rest keeps its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch

import torch
from torch import nn

from sepbench.errors import SepbenchError


def freeze_others(network: nn.Module, only: str) -> None:
    """Freeze the weights whose names do not match the pattern ``only``, such as ``vocals.*``.

    Raises `SepbenchError` if none matches.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(fnmatch(name, only))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        parts = dict.fromkeys(name.split(".")[0] for name, _ in network.named_parameters())
        raise SepbenchError(
            f"training.only: no weights are called {only!r}; names begin with {', '.join(parts)}"
        )


def train_mode(network: nn.Module) -> None:
    """Set ``train`` mode, but for frozen parts: these keep their running statistics."""
    network.train()
    for part in _frozen(network):
        part.eval()


@contextmanager
def keeping_frozen(network: nn.Module) -> Iterator[None]:
    """Restore the running statistics of frozen parts at the end of the block."""
    kept = [(b, b.clone()) for part in _frozen(network) for b in part.buffers()]
    yield
    with torch.no_grad():
        for buffer, value in kept:
            buffer.copy_(value)


def _frozen(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules whose weights are all frozen."""
    for module in network.modules():
        weights = list(module.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            yield module
