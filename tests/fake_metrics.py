"""Metrics that misbehave in every way."""

from __future__ import annotations

import torch

from sepbench.errors import SepbenchError
from sepbench.metrics.metric import Metric


class Peak(Metric):
    """The largest error."""

    name = "peak"
    summary = "Largest error of a sample."
    groups = ("fakes",)
    totals = ("peak",)
    higher_is_better = False
    silence = "as any other signal"
    source = "Nobody 2026"

    def score(self, reference, estimate, mixture, rate):
        return (estimate - reference).abs().max()


class Raises(Peak):
    name = "raises"
    totals = ("raises",)

    def score(self, reference, estimate, mixture, rate):
        raise ValueError("no luck today")


class Refuses(Peak):
    name = "refuses"
    totals = ("refuses",)

    def score(self, reference, estimate, mixture, rate):
        raise SepbenchError(f"cannot take {rate} Hz; resample to 16000 Hz")


class WrongShape(Peak):
    name = "wrong-shape"
    totals = ("wrong-shape",)

    def score(self, reference, estimate, mixture, rate):
        return torch.zeros(3)


class Nan(Peak):
    name = "nan"
    totals = ("nan",)

    def score(self, reference, estimate, mixture, rate):
        return float("nan")


class Thief(Peak):
    name = "thief"
    groups = ()
    totals = ("uSDR",)
    prefixed = False


class Nameless(Peak):
    name = "nameless"
    totals = ()


class Lacking(Peak):
    name = "lacking"
    needs = (("a_module_that_is_not_here", "pip install something"),)
