"""The conformance kit: what must hold of every separator, fact by fact.

For the tests of a plugin::

    import pytest
    from sepbench.testing import checks
    from my_plugin import MySeparator

    @pytest.mark.parametrize("check", checks(MySeparator))
    def test_conforms(check):
        check()

``sepbench plugin check NAME`` looks at the same facts in a process of its own.
"""

from __future__ import annotations

import unittest
from collections.abc import Mapping
from typing import Any

from sepbench import registry
from sepbench.separator import AnySeparator
from sepbench.testing.check import FAILED, NOT_APPLICABLE, NOT_SEEN, Fact, Outcome
from sepbench.testing.examination import FACTS, Examination
from sepbench.testing.subject import Subject

__all__ = ["Check", "checks", "examine"]


class Check:
    """One fact to be checked by calling it; pytest shows it by the fact's name."""

    def __init__(self, fact: Fact, examination: Examination) -> None:
        self._fact = fact
        self._examination = examination
        self.__name__ = fact.name

    def __call__(self) -> None:
        """Raise ``AssertionError`` if the fact fails, ``SkipTest`` if it says nothing here."""
        __tracebackhide__ = True
        outcome = self._examination.outcome(self._fact)
        if outcome.status == FAILED:
            raise AssertionError(
                f"{outcome.fact}\nexpected: {outcome.expected}\ngot: {outcome.got}\n"
                f"mend: {outcome.cure}"
            )
        if outcome.status in (NOT_APPLICABLE, NOT_SEEN):
            raise unittest.SkipTest(outcome.got)


def checks(
    separator: type[AnySeparator],
    *,
    options: Mapping[str, Any] | None = None,
    device: str = "cpu",
    seconds: float = 20.0,
) -> list[Check]:
    """Return one check a fact.

    ``options`` are values by name; ``seconds`` is the length of the longest song that is tried.
    Nothing is loaded before the first check is called.
    """
    examination = _examination(separator, options, device, seconds)
    return [Check(fact, examination) for fact in FACTS.values()]


def examine(
    separator: type[AnySeparator],
    *,
    options: Mapping[str, Any] | None = None,
    device: str = "cpu",
    seconds: float = 20.0,
) -> list[Outcome]:
    """Return what came of every fact, in order."""
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

    return Examination(lambda fact: fact.look_at(subject))
