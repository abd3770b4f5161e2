"""Learning-rate range test (Smith 2017)."""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import DataLoader

from sepbench.training.examples import Examples
from sepbench.training.loop import Run
from sepbench.training.part import train_mode

STEPS = 60
"""Steps of the test."""

_LOWEST, _HIGHEST = 1e-5, 1.0
"""Learning rates of the first and the last step."""


def find_learning_rate(
    run: Run, examples: Examples, *, steps: int = STEPS
) -> Iterator[tuple[float, float]]:
    """Yield rate and smoothed loss while the rate grows geometrically, until the loss explodes.

    A good ``learning_rate`` is a third of the rate at which the loss falls fastest. The run cannot
    be trained afterwards.
    """
    train_mode(run.network)
    smooth = lowest = float("inf")
    loader = DataLoader(examples, batch_size=run.settings.batch_size)
    for step, stems in zip(range(steps), loader, strict=False):
        rate = _LOWEST * (_HIGHEST / _LOWEST) ** (step / (steps - 1))
        loss = run.step(stems, rate)["loss"]
        smooth = loss if step == 0 else 0.8 * smooth + 0.2 * loss
        lowest = min(lowest, smooth)
        yield rate, smooth
        if smooth > lowest + max(abs(lowest), 0.5):
            return
