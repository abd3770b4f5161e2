"""Learning rates by step, as factors of the highest one."""

from __future__ import annotations

import math
from collections.abc import Callable

from sepbench.errors import SepbenchError

Schedule = Callable[[int, int], float]
"""``(step, steps)`` to a factor in (0, 1]."""


def fixed(step: int, steps: int) -> float:
    """Return 1: a constant rate."""
    return 1.0


def step_down(step: int, steps: int) -> float:
    """Return a rate that drops to a tenth after each third of the steps."""
    return 0.1 ** min(2, 3 * step // max(steps, 1))


def noam(step: int, steps: int) -> float:
    """Linear rise over a tenth of the steps, then falling with their root (Vaswani et al. 2017)."""
    warm = max(1, steps // 10)
    return min((step + 1) / warm, math.sqrt(warm / (step + 1)))


def one_cycle(step: int, steps: int) -> float:
    """A cosine from 1/25 up over 0.2 of the steps, and a cosine down to 1e-4 (Smith 2018)."""
    rise = max(1, int(0.2 * steps))
    if step < rise:
        return _cosine(1 / 25, 1.0, step / rise)
    return _cosine(1.0, 1e-4, min(1.0, (step - rise) / max(1, steps - rise)))


def trapezoid(step: int, steps: int) -> float:
    """Rise over 200 steps, stay, and fall in a straight line over the last 0.35 of all steps.

    A run under this schedule may be made shorter or longer while it is on the plateau.
    """
    fall = max(1, int(0.35 * steps))
    return max(1e-4, min(1.0, (step + 1) / 200, (steps - step) / fall))


SCHEDULES: dict[str, Schedule] = {
    "fixed": fixed,
    "step": step_down,
    "noam": noam,
    "one-cycle": one_cycle,
    "trapezoid": trapezoid,
}


def schedule(name: str) -> Schedule:
    """Return a schedule by name; raise `SepbenchError` for one that is not known."""
    if name not in SCHEDULES:
        raise SepbenchError(f"schedule {name!r}: choose one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name]


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
