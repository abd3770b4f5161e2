"""The conformance kit: checks of plugins against the contract.

For the tests of a separator::

    import pytest
    from sepbench.testing import checks
    from my_plugin import MySeparator

    @pytest.mark.parametrize("check", checks(MySeparator))
    def test_conforms(check):
        check()

For a data set use ``dataset_checks(MyDataset, root=...)``. ``sepbench plugin check NAME`` runs the
same checks in a separate process.
"""

from __future__ import annotations

import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sepbench import registry
from sepbench.datasets import Dataset
from sepbench.metrics.metric import SetMetric
from sepbench.separator import AnySeparator
from sepbench.testing.check import FAILED, NOT_APPLICABLE, NOT_SEEN, Check, Outcome
from sepbench.testing.dataset import DatasetSubject
from sepbench.testing.examination import CHECKS, DATASET_CHECKS, METRIC_CHECKS, Examination
from sepbench.testing.metric import MetricSubject
from sepbench.testing.subject import Subject

__all__ = ["BoundCheck", "checks", "dataset_checks", "examine", "metric_checks"]


class BoundCheck:
    """One check of one plugin: call it to run it; pytest shows its name."""

    def __init__(self, check: Check, examination: Examination) -> None:
        self._check = check
        self._examination = examination
        self.__name__ = check.name

    def __call__(self) -> None:
        """Raise ``AssertionError`` if the check fails, ``SkipTest`` if it does not apply."""
        __tracebackhide__ = True
        outcome = self._examination.outcome(self._check)
        if outcome.status == FAILED:
            raise AssertionError(
                f"{outcome.check}\nexpected: {outcome.expected}\ngot: {outcome.got}\n"
                f"fix: {outcome.fix}"
            )
        if outcome.status in (NOT_APPLICABLE, NOT_SEEN):
            raise unittest.SkipTest(outcome.got)


def checks(
    separator: type[AnySeparator],
    *,
    options: Mapping[str, Any] | None = None,
    device: str = "cpu",
    seconds: float = 20.0,
) -> list[BoundCheck]:
    """Return every check of a separator.

    ``options`` are values by name; ``seconds`` is the length of the longest song that is tried.
    Nothing is loaded before the first check is called.
    """
    examination = _examination(separator, options, device, seconds)
    return [BoundCheck(check, examination) for check in CHECKS.values()]


def dataset_checks(dataset: type[Dataset], *, root: Path | None = None) -> list[BoundCheck]:
    """Return every check of a data set, looked for at ``root`` or at its usual places."""
    subject = DatasetSubject(dataset, root=root)
    examination = Examination(lambda check: check.run(lambda: subject), DATASET_CHECKS)
    return [BoundCheck(check, examination) for check in DATASET_CHECKS.values()]


def metric_checks(
    metric: type[SetMetric], *, options: Mapping[str, Any] | None = None
) -> list[BoundCheck]:
    """Return every check of a metric; ``options`` are values by name."""
    subject = MetricSubject(metric, values=options)
    examination = Examination(lambda check: check.run(lambda: subject), METRIC_CHECKS)
    return [BoundCheck(check, examination) for check in METRIC_CHECKS.values()]


def examine(
    separator: type[AnySeparator],
    *,
    options: Mapping[str, Any] | None = None,
    device: str = "cpu",
    seconds: float = 20.0,
) -> list[Outcome]:
    """Return the outcome of every check of a separator, in order."""
    return list(_examination(separator, options, device, seconds))


def _examination(
    separator: type[AnySeparator], options: Mapping[str, Any] | None, device: str, seconds: float
) -> Examination:
    subjects: list[Subject] = []

    def subject() -> Subject:
        if not subjects:
            method = registry.variant(separator, options or {})
            subjects.append(Subject(method, device=device, seconds=seconds))
        return subjects[0]

    return Examination(lambda check: check.run(subject), CHECKS)
