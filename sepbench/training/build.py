"""Builds the trainable model of a method."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.options import parse_spec
from sepbench.training.model import BADLY_DESCRIBED, Trainable, wrong_field
from sepbench.training.model_class import model_class
from sepbench.weights import container

if TYPE_CHECKING:
    from sepbench.separator import AnySeparator


def trained_separator(method: str) -> type[AnySeparator]:
    """Return a trainable separator, with or without weights; raise for others."""
    name, values = parse_spec(method)
    if values:
        raise SepbenchError(
            f"method {method}: give its name without options, {name!r}; the config holds all "
            "settings of training"
        )
    separator = registry.resolve(name)[0].separator
    if not hasattr(separator, "trainable"):
        known = [
            entry.name for entry in registry.plugins() if hasattr(entry.separator, "trainable")
        ]
        raise SepbenchError(f"method {name}: cannot be trained; choose one of {', '.join(known)}")
    return separator


def trainable_of(
    separator: Any, model: dict[str, Any], config: str, *, channels: int = 1
) -> Trainable:
    """Make a separator's trainable model, for examples with ``channels`` channels.

    Raises `SepbenchError` if ``model`` does not describe a network, or describes one for another
    number of channels.
    """
    kind = model_class(separator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parameters without elements
            trainable: Trainable = kind(model)
            with torch.device("meta"):  # a trial without memory
                trial = trainable.network()
    except BADLY_DESCRIBED as error:
        raise SepbenchError(
            f"config {config!r}: its model does not describe a network of {separator.name}, "
            f"{wrong_field(error)}; see the config 'default' of {separator.name}"
        ) from error
    if empty := [name for name, weight in trial.named_parameters() if weight.numel() == 0]:
        raise SepbenchError(
            f"config {config!r}: {empty[0]} of its network has no elements; "
            "write widths of at least 1 into the section model"
        )
    if found := container.fault({"model": model}):
        raise SepbenchError(f"config {config!r}: {found}, in the section model")
    if channels not in trainable.example_channels:
        raise SepbenchError(
            f"config {config!r}: {separator.name} learns from examples of one channel; "
            f"write 1 for channels: {channels} in the section examples"
        )
    return trainable
