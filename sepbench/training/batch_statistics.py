"""Statistics of batch normalisation, as means over many batches."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import swa_utils

from sepbench.training import checkpoint
from sepbench.training.examples import Examples
from sepbench.training.loading import batches
from sepbench.training.loop import Run
from sepbench.training.part import keeping_frozen
from sepbench.training.run_weights import BEST
from sepbench.training.validate import Songs


def update_statistics(run: Run, examples: Examples, songs: Songs, *, most: int = 60) -> float:
    """Recompute the batch statistics of the best weights; keep them if the score is higher.

    Running statistics are averages over few batches and changing weights; these are plain means
    over at most ``most`` batches. Returns the best score, whose weights are in ``best.pt``.
    """
    path = run.folder / BEST
    state = checkpoint.load(path, run.device)
    network = run.best_network()
    size = run.settings.batch_size
    count = min(most * size, len(examples))
    loader = batches(examples, 0, count, size=size, generator=torch.Generator())
    with keeping_frozen(network):
        set_statistics(network, (run.inputs(stems) for stems in loader))
    result = run.validate(network, songs)
    reached = result.criterion(run.settings.best)
    if reached > state["best"]:
        state["weights"], state["best"] = network.state_dict(), reached
        state["history"][-1].update(result.entries)
        checkpoint.save(path, state)
    return float(state["best"])


def set_statistics(network: nn.Module, inputs: Iterable[torch.Tensor]) -> None:
    """Set the statistics of batch normalisation to their means over ``inputs``, without dropout."""
    for module in network.modules():  # Statistics are computed in training mode.
        if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0
    swa_utils.update_bn(inputs, network)
