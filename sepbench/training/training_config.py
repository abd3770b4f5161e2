"""The section ``training`` of a training config."""

from __future__ import annotations

from dataclasses import dataclass

from sepbench.options import option
from sepbench.training.schedules import SCHEDULES
from sepbench.training.start import STARTS


@dataclass(frozen=True)
class TrainingConfig:
    """Length, learning rate and validation of a training."""

    epochs: int = option(40, "number of epochs", minimum=1)
    examples: int = option(
        1600, "examples in an epoch, after which the run is validated and saved", minimum=1
    )
    batch_size: int = option(8, "examples in a step", minimum=1)
    learning_rate: float = option(1e-3, "the highest", minimum=1e-12)
    schedule: str = option("one-cycle", "learning rate by step", choices=tuple(SCHEDULES))
    weight_decay: float = option(0.01, "of AdamW", minimum=0)
    beta2: float = option(
        0.99, "decay of Adam's mean of squared gradients", minimum=0, maximum=0.999999
    )
    epsilon: float = option(1e-8, "added to the root of that mean by Adam", minimum=0)
    clip: float = option(5.0, "largest norm of the gradient; 0: any", minimum=0)
    start: str = option("torch", "where random weights come from", choices=STARTS)
    best: str = option(
        "sdr",
        "the best epoch: that of the highest sdr, or of the lowest validation loss",
        choices=("sdr", "loss"),
    )
    average: float = option(
        0.999,
        "decay of the moving average of the weights that is validated and kept; 0: no average",
        minimum=0,
        maximum=1,
    )
    patience: int = option(
        0, "epochs without a better score after which to stop; 0: never", minimum=0
    )
    validate_every: int = option(
        1, "epochs from one validation to the next; the first and the last are always", minimum=1
    )
    passages: int = option(24, "passages of each source that are scored, at most", minimum=1)
    pictures: int = option(
        0, "epochs from one set of pictures of passages to the next; 0: none", minimum=0
    )
    shown: int = option(4, "passages that pictures are made of", minimum=1)
    only: str = option("*", "pattern of the names of the weights that are trained; others stay")
    seed: int = option(
        0,
        "of examples, initial weights and dropout",
        minimum=-(2**63),
        maximum=2**63 - 1,
    )
    workers: int = option(1, "processes that mix examples", minimum=0)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch."""
        return self.examples // self.batch_size

    def is_validated(self, epoch: int) -> bool:
        """Return whether the run is validated after an epoch, counted from 1."""
        return epoch in (1, self.epochs) or epoch % self.validate_every == 0

    def is_shown(self, epoch: int) -> bool:
        """Return whether pictures are made after an epoch, counted from 1."""
        return bool(self.pictures) and (epoch == self.epochs or epoch % self.pictures == 0)
