"""The results of an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """The results of an epoch."""

    number: int
    loss: float
    scores: dict[str, float]
    """Scores of validation songs; empty if the epoch was not validated."""
    seconds: float
    """Wall-clock time, validation included."""
    waiting: float
    """Share of the training time that was spent waiting for examples."""
    is_best: bool
    validation_loss: float = math.nan
    not_learning: Mapping[str, str] = field(default_factory=dict)
    """Parts of the network that do not learn, found after the first epoch, with the reason."""
