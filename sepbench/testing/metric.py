"""Checks of a metric: its facts, its scores of known signals, and their behaviour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sepbench import options as opts
from sepbench.errors import SepbenchError
from sepbench.metrics import golden
from sepbench.metrics.metric import SetMetric
from sepbench.metrics.protocols import DEFAULT_PROTOCOL, PROTOCOLS, of_metric
from sepbench.registry.metrics import METRIC_GROUP, validate_metric
from sepbench.testing.check import CheckFailed, NotApplicable, Note, check, valid_plugin

if TYPE_CHECKING:
    import torch

    from sepbench.metrics.scorer import StemScores

_RATES = (8000, 22050, 48000)
_LENGTHS = (100, 1)


class MetricSubject:
    """A metric under test, with options by name."""

    def __init__(
        self, kind: type[SetMetric], name: str = "", values: Mapping[str, Any] | None = None
    ) -> None:
        self.kind = kind
        self.name = name or getattr(kind, "name", "?")
        self._values = values or {}

    @cached_property
    def metric(self) -> SetMetric:
        """The metric with these options."""
        return self.kind(opts.build(self.kind.Options, self._values, method=self.name))

    @cached_property
    def signals(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """References and estimates of `sepbench.metrics.golden.signals`."""
        import torch

        references, estimates = golden.signals()
        return tuple(  # type: ignore[return-value]
            {stem: torch.from_numpy(wave) for stem, wave in group.items()}
            for group in (references, estimates)
        )

    def score(
        self,
        references: Mapping[str, torch.Tensor],
        estimates: Mapping[str, torch.Tensor],
        rate: int = golden.RATE,
    ) -> dict[str, StemScores]:
        """Return the scores of estimates; raise `CheckFailed` with the reason if it fails."""
        import torch

        from sepbench.metrics.scorer import TrackScorer

        mixture = torch.stack(list(references.values())).sum(0)
        scorer = TrackScorer(references, mixture, rate, metrics=[self.metric])
        scores = scorer.score(estimates, targets=tuple(references))
        start = f"metric {self.metric.label}: "
        for found in scores.values():
            for note in found.notes:
                if note.startswith(start):
                    raise CheckFailed(note.removeprefix(start))
        return scores

    def values(self, scores: Mapping[str, StemScores]) -> dict[str, float]:
        """Return the scores of whole tracks by stem and name, those of windows as their mean."""
        found: dict[str, float] = {}
        for stem, of_stem in scores.items():
            for name in self.metric.totals:
                found[f"{stem} {name}"] = of_stem.totals[self.metric.id_of(name)]
            for name in self.metric.frames:
                frames = [x for x in of_stem.frames[self.metric.id_of(name)] if math.isfinite(x)]
                found[f"{stem} {name}"] = sum(frames) / len(frames) if frames else math.nan
        return found


@check(
    fix="derive from sepbench.metrics.metric.Metric, define score, set name, summary, totals or "
    "frames, higher_is_better, silence and source, and call the entry point by the same name",
    required=True,
)
def contract(subject: MetricSubject) -> str:
    """A subclass of sepbench.metrics.metric.Metric with all of its facts."""
    return valid_plugin(subject.kind, subject.name, METRIC_GROUP, validate_metric)


@check(fix="return a number for each of totals, (windows,) for each of frames", required=True)
def scores(subject: MetricSubject) -> str:
    """Every declared score of two stems, each a number of its own or NaN."""
    found = subject.values(subject.score(*subject.signals))
    known = [f"{name} {value:.4g}" for name, value in found.items() if math.isfinite(value)]
    if not known:
        raise CheckFailed("NaN for every stem")
    return ", ".join(known)


@check(fix="derive every number from the arguments; seed what is random")
def same_again(subject: MetricSubject) -> str:
    """The same signals have the same scores, and are not modified."""
    references, estimates = subject.signals
    before = {name: wave.clone() for name, wave in {**references, **estimates}.items()}
    first, second = (subject.values(subject.score(references, estimates)) for _ in range(2))
    if str(first) != str(second):
        raise CheckFailed("different scores the second time")
    if any(not wave.equal(before[name]) for name, wave in {**references, **estimates}.items()):
        raise CheckFailed("it writes into its arguments")
    return "equal"


@check(fix="correct the formula, or the declared values and their tolerance")
def golden_values(subject: MetricSubject) -> str:
    """The declared scores of its reference implementation."""
    if not subject.kind.golden:
        raise Note("it declares none; golden = (Golden('program 1.0', {'vocals NAME': 1.23}),)")
    for values in subject.kind.golden:
        wrong = golden.differences(subject.kind, values)
        for name, (got, expected) in wrong.items():
            raise CheckFailed(f"{name} is {got:.6g}, by {values.source} {expected:.6g}")
    return ", ".join(values.source for values in subject.kind.golden)


@check(fix="set higher_is_better to True, False, or None if the best score is 0")
def direction(subject: MetricSubject) -> str:
    """More noise does not give a better score."""
    import torch

    protocol = of_metric(subject.metric) or PROTOCOLS[DEFAULT_PROTOCOL]
    references, _ = subject.signals
    generator = torch.Generator().manual_seed(0)
    means = []
    for level in (0.003, 0.03):
        made = {
            stem: wave + level * torch.randn(wave.shape, generator=generator)
            for stem, wave in references.items()
        }
        first = (*subject.metric.totals, *subject.metric.frames)[0]
        found = subject.values(subject.score(references, made))
        known = [x for name, x in found.items() if name.endswith(f" {first}") and math.isfinite(x)]
        means.append(sum(map(protocol.goodness, known)) / max(1, len(known)))
    if means[1] > means[0] + 1e-6:
        raise CheckFailed(f"goodness rises from {means[0]:.4g} to {means[1]:.4g}")
    return protocol.better


@check(fix="return NaN, or a number that stays finite, and say which in silence")
def silent(subject: MetricSubject) -> str:
    """A silent reference and a silent estimate give a score or NaN, without an error."""
    references, estimates = subject.signals
    stem = next(iter(references))
    nothing = {stem: references[stem] * 0}
    subject.score({**references, **nothing}, estimates)
    subject.score(references, {**estimates, **nothing})
    return subject.metric.silence


@check(fix="raise SepbenchError with the cure for a rate that it cannot take, or set sample_rate")
def rates(subject: MetricSubject) -> str:
    """Other rates give a score, NaN or a reason."""
    references, estimates = subject.signals
    with _reasons():
        for rate in _RATES:
            subject.score(references, estimates, rate)
    return f"{', '.join(map(str, _RATES))} Hz"


@check(fix="take any number of channels; return NaN for a song shorter than a window, or pad it")
def lengths(subject: MetricSubject) -> str:
    """Mono and very short songs give a score, NaN or a reason."""
    mono, made = ({s: wave[:1] for s, wave in group.items()} for group in subject.signals)
    with _reasons():
        subject.score(mono, made)
        for samples in _LENGTHS:
            true, short = ({s: wave[:, :samples] for s, wave in x.items()} for x in (mono, made))
            subject.score(true, short)
    return f"one channel, {', '.join(map(str, _LENGTHS))} samples"


@contextmanager
def _reasons() -> Iterator[None]:
    """Convert the metric's `SepbenchError` to the reason why the check does not apply."""
    try:
        yield
    except SepbenchError as reason:
        raise NotApplicable(str(reason)) from None


CHECKS = (contract, scores, same_again, golden_values, direction, silent, rates, lengths)
