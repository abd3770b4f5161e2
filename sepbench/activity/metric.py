"""Metrics of activity: whether a stem sounds at the right times, and leakage into its pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sepbench.metrics.metric import Metric

if TYPE_CHECKING:
    import torch

_RULE = "activity by the energy rule of sepbench.activity.reference, in frames of 10 ms"


class Activity(Metric):
    """F1 score of the frames in which a stem sounds."""

    name = "activity"
    summary = "F1 of activity, in frames of 10 ms: whether the estimate sounds when the stem does"
    groups = ("activity",)
    totals = ("activity",)
    higher_is_better = True
    silence = "no score where neither reference nor estimate sounds"
    source = f"van Rijsbergen 1979; {_RULE}"

    def score(
        self, reference: torch.Tensor, estimate: torch.Tensor, mixture: torch.Tensor, rate: int
    ) -> float:
        """Return the F1 of one stem, 0 to 1."""
        from sepbench.activity.reference import reference_activity

        truth = reference_activity(reference, rate)
        found = reference_activity(estimate, rate)
        total = int(truth.sum() + found.sum())
        return 2 * int((truth & found).sum()) / total if total else float("nan")


class Leakage(Metric):
    """Level of an estimate where the reference is silent."""

    name = "leakage"
    summary = (
        "Level of the estimate where the stem is silent, over the stem's level where it sounds"
    )
    groups = ("activity",)
    totals = ("leakage",)
    unit = "dB"
    higher_is_better = False
    silence = "no score for a stem that never sounds or always does; at least -100 dB"
    source = f"mean square over frames; {_RULE}"

    def score(
        self, reference: torch.Tensor, estimate: torch.Tensor, mixture: torch.Tensor, rate: int
    ) -> float:
        """Return the leakage of one stem in dB."""
        import math

        from sepbench.activity.reference import frame_power, reference_activity

        sounds = reference_activity(reference, rate)
        if not sounds.any() or sounds.all():
            return float("nan")
        level = float(frame_power(reference, rate)[sounds].double().mean())
        left = float(frame_power(estimate, rate)[~sounds].double().mean())
        return 10 * math.log10(left / level + 1e-10)
