"""Finds why a training fails: values that are not finite, and parts that do not learn."""

from __future__ import annotations

import torch
from torch import nn

from sepbench._util.text import listed
from sepbench.training.model import Batch, Trainable


def loss_origin(trainable: Trainable, network: nn.Module, stems: Batch) -> str:
    """Return where the loss on a batch becomes NaN or infinite, and the cure."""
    lower = "take a lower --learning-rate"
    for name, weights in network.named_parameters():
        if not torch.isfinite(weights).all():
            return f"the weights {name} are not finite since the step before; {lower}"
    with torch.no_grad():
        inputs = trainable.features(trainable.mixture(stems))
        targets = trainable.targets(stems)
        output = network(inputs)
        parts = {"features": inputs, "targets": targets, "output of the network": output}
        for name, value in parts.items():
            if isinstance(value, torch.Tensor) and not torch.isfinite(value).all():
                return f"the {name} hold NaN or infinity; {lower}"
        loss = trainable.loss(output.float(), targets)
    if not torch.isfinite(loss).all():
        return "the loss function returns it for finite output and targets; correct the function"
    return lower


def gradient_origin(network: nn.Module) -> str:
    """Return which weights have a gradient that is not finite, for a finite loss, and the cure."""
    names = [
        name
        for name, weights in network.named_parameters()
        if weights.grad is not None and not torch.isfinite(weights.grad).all()
    ]
    return (
        f"the loss is finite, but its gradient with respect to {listed(names, most=1)} is NaN "
        "or infinite; correct the loss or the network where it has no derivative, such as the "
        "square root of 0"
    )


def parts_without_gradient(network: nn.Module) -> list[str]:
    """Return the parts of a network whose gradients are all 0.

    Parts are the direct children of a network, such as the networks of a method with several. Parts
    without weights are left out; if no part has a gradient the result is ``["network"]``.
    """
    has_gradient = {}
    for name, part in network.named_children():
        if parameters := [p for p in part.parameters() if p.requires_grad]:
            has_gradient[name] = any(map(_has_gradient, parameters))
    without = [name for name, value in has_gradient.items() if not value]
    own = any(map(_has_gradient, network.parameters(recurse=False)))
    return ["network"] if without and not (own or any(has_gradient.values())) else without


def _has_gradient(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.count_nonzero())
