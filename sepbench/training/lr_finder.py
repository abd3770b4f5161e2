"""Learning-rate range test (Smith 2017)."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import DataLoader

from sepbench.training.examples import Examples
from sepbench.training.loop import Run
from sepbench.training.part import train_mode

STEPS = 60
"""Steps of the test."""


def find_learning_rate(
    run: Run, examples: Examples, *, low: float = 1e-5, high: float = 1.0, steps: int = STEPS
) -> Iterator[tuple[float, float]]:
    """Yield rate and smoothed loss while the rate grows geometrically, until the loss explodes.

    A good highest rate is a third of the one where the loss falls fastest. The run
    cannot be trained afterwards.
    """
    train_mode(run.network)
    smooth = lowest = float("inf")
    loader = DataLoader(examples, batch_size=run.plan.batch_size)
    for step, stems in zip(range(steps), loader, strict=False):
        rate = low * (high / low) ** (step / (steps - 1))
        loss = run.step(stems, rate)["loss"]
        smooth = loss if step == 0 else 0.8 * smooth + 0.2 * loss
        lowest = min(lowest, smooth)
        yield rate, smooth
        if smooth > lowest + max(abs(lowest), 0.5):
            return
