"""The contract of trainable models."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

Batch = Mapping[str, torch.Tensor]
"""Tensors by name, each with the batch first."""


class Trainable(ABC):
    """A network with its input features, its targets and its loss.

    Args:
        model: the section ``model`` of a training config, as plain values.

    `rate` is the sample rate in Hz of everything it is given.
    """

    method: ClassVar[str]
    """The separator that reads the weights."""

    stems: tuple[str, ...] = ("vocals", "accompaniment")
    """The stems of an example; their sum is the mixture."""

    example_channels: ClassVar[tuple[int, ...]] = (1,)
    """The numbers of channels that an example may have."""

    loss_label: str = "loss"
    """Description of the loss."""

    score_unit: ClassVar[str] = "dB"
    """Unit of the scores: dB for SDR, empty for shares."""

    rate: int

    context: float | None
    """Seconds of context on each side that the output depends on; None: the whole song."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.model = dict(model)

    @abstractmethod
    def network(self) -> nn.Module:
        """Build the network, its weights drawn from torch's generator."""

    @abstractmethod
    def features(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return the network's input for mixtures.

        Shape:
            mixture: ``(batch, samples)``, or ``(batch, 2, samples)`` if the model learns from
            two channels, as every other signal.
            result: as the network takes it, the batch first.
        """

    @abstractmethod
    def targets(self, stems: Batch) -> Batch:
        """Return the targets of the loss from stems, each ``(batch, samples)``."""

    @abstractmethod
    def loss(self, output: torch.Tensor, targets: Batch) -> torch.Tensor:
        """Return the loss to minimise, a scalar.

        Shape:
            output: that of the network; targets: those of `targets`; the batch first.
        """

    @abstractmethod
    def estimates(self, network: nn.Module, mixture: torch.Tensor) -> Batch:
        """Return the stems ``(batch, samples)`` that a network in ``eval`` mode estimates."""

    def losses(self, output: torch.Tensor, targets: Batch) -> Batch:
        """Return the loss of each network by its name, a scalar, for a model that has several.

        Networks for whose stem a batch has no known target are left out.
        """
        return {}

    def counts(self, targets: Batch) -> Mapping[str, float]:
        """Return the weight of a batch in the mean of ``loss`` and of each of `losses`, by name.

        If empty, batches are weighted by their number of examples.
        """
        return {}

    def outputs(self, output: torch.Tensor) -> Batch:
        """Return the output of each network by its name, the batch first."""
        return {"network": output}

    def scores(self, network: nn.Module, stems: Batch) -> Mapping[str, float]:
        """Return scores of a passage by name, for a model without stems.

        Shape:
            each stem: ``(samples,)``.
        """
        return {}

    def mixture(self, stems: Batch) -> torch.Tensor:
        """Return the sum of the stems of examples, in their shape: ``(batch, samples)``."""
        return torch.stack([stems[name] for name in self.stems]).sum(0)


BADLY_DESCRIBED = (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError, IndexError)
"""Exceptions of a model built from a ``model`` section with wrong or missing fields."""


def wrong_field(error: Exception) -> str:
    """Describe what is wrong with a section ``model``, given one of `BADLY_DESCRIBED`.

    >>> wrong_field(KeyError("rate")), wrong_field(ValueError("need 0 < hop <= n_fft"))
    ("no field 'rate'", 'need 0 < hop <= n_fft')
    """
    text = " ".join(str(error).split())
    if isinstance(error, KeyError):
        return f"no field {text}"
    if unknown := re.search(r"unexpected keyword argument ('\w+')", text):
        return f"unknown field {unknown[1]}"
    if missing := re.search(r"missing \d+ required .*: (.*)", text):
        return f"no field {missing[1]}"
    if number := re.search(r"(?:invalid literal for int.*|could not convert.*): ('.*')", text):
        return f"{number[1]} is not a number"
    # Only messages of the model itself are meant for users.
    return text if type(error) is ValueError else "a value of the wrong kind or size"
