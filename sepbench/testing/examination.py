"""Looks at a separator fact by fact, here or in a process of its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from sepbench import options as opts
from sepbench import registry
from sepbench._util.process import WorkerDied, WorkerProcess
from sepbench.errors import SepbenchError
from sepbench.testing import metadata, outputs, side_effects
from sepbench.testing.check import FAILED, NOT_SEEN, NOTE, PASSED, CheckFailed, Fact, Outcome
from sepbench.testing.subject import Subject

FACTS: Mapping[str, Fact] = {
    fact.name: fact for fact in (*metadata.FACTS, *outputs.FACTS, *side_effects.FACTS)
}
"""Every fact by name, in the order in which they are looked at."""

_FORM = "write it as NAME, or as MODULE:CLASS such as my_module:MySeparator"


class Examination:
    """The facts of one separator, each looked at once, and none behind a gate that is shut."""

    def __init__(self, look: Callable[[Fact], Outcome]) -> None:
        self._look = look
        self._known: dict[str, Outcome] = {}

    def __iter__(self) -> Iterator[Outcome]:
        """Yield the outcome of every fact."""
        return map(self.outcome, FACTS.values())

    def outcome(self, fact: Fact) -> Outcome:
        """Return the outcome of one fact, looking first at the gates before it."""
        if fact.name not in self._known:
            shut = self._shut_gate(fact)
            self._known[fact.name] = (
                self._look(fact)
                if shut is None
                else fact.outcome(NOT_SEEN, f"because of {shut.fact}: {shut.got}")
            )
        return self._known[fact.name]

    def _shut_gate(self, fact: Fact) -> Outcome | None:
        for other in FACTS.values():
            if other is fact:
                return None
            if other.gate and self.outcome(other).status not in (PASSED, NOTE):
                return self.outcome(other)
        return None


@dataclass(frozen=True)
class Target:
    """What is looked at: the ``module:class`` of a separator, its options, and its name if given.

    ``device`` and ``seconds`` are where, and the longest song.
    """

    where: str
    values: tuple[tuple[str, str], ...] = ()
    name: str = ""
    device: str = "cpu"
    seconds: float = 60.0

    @cache  # noqa: B019 - one subject a process, and the process is for it alone
    def subject(self) -> Subject:
        """Import the class; raise `CheckFailed` where it is no separator."""
        module, _, path = self.where.partition(":")
        kind: Any = importlib.import_module(module)
        for part in path.split("."):
            if not hasattr(kind, part):
                raise CheckFailed(f"{module} has no {path}", "write it as MODULE:CLASS")
            kind = getattr(kind, part)
        name = self.name or getattr(kind, "name", "")
        fault = registry.validate(EntryPoint(name, self.where, registry.GROUP), kind)
        if fault:
            raise CheckFailed(fault)
        try:
            method = registry.variant(kind, dict(self.values))
        except SepbenchError as error:
            raise CheckFailed(str(error), "leave the option out, or write it another way") from None
        return Subject(method, device=self.device, seconds=self.seconds, name=self.name)


def find(spec: str, *, device: str = "cpu", seconds: float = 60.0) -> Target:
    """Return what ``NAME`` or ``MODULE:CLASS`` stands for, either with ``[option=value,...]``.

    Imports nothing. Raises `SepbenchError` for a name that nothing bears.
    """
    name, values = opts.parse_spec(spec)
    several = [key for key, given in values.items() if len(given) > 1]
    if several:
        raise SepbenchError(f"method {spec!r}: give {several[0]} one value; one variant is checked")
    chosen = tuple((key, given[0]) for key, given in values.items())
    if ":" in name:
        _check_place(name)
        return Target(name, chosen, "", device, seconds)
    points = entry_points(group=registry.GROUP, name=name)
    if name.endswith(".py"):
        raise SepbenchError(f"{name}: {_FORM}, in the folder where the file lies")
    if not points:
        registry.resolve(name)  # Raises with the name that was probably meant.
    return Target(next(iter(points)).value, chosen, name, device, seconds)


def _check_place(where: str) -> None:
    """Raise `SepbenchError` for what is no ``module:class`` of a module that is here."""
    module, _, path = where.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *path.split("."))):
        raise SepbenchError(f"{where!r}: {_FORM}")
    top = module.partition(".")[0]
    if top not in sys.modules and find_spec(top) is None:
        raise SepbenchError(
            f"{where}: no module {top!r} here; install it, or go to the folder in which it lies"
        )


def in_a_lane(target: Target, lane: WorkerProcess[tuple[Target, str], Outcome]) -> Examination:
    """Return an examination in another process, so that a crash or a hang is a failed fact.

    ``lane`` does `judge`.
    """

    def look(fact: Fact) -> Outcome:
        try:
            return lane.run((target, fact.name))
        except WorkerDied as death:
            cure = "look at what it was doing there: python -X faulthandler; or give more --timeout"
            return fact.outcome(FAILED, str(death), cure)

    return Examination(look)


def judge(task: tuple[Target, str]) -> Outcome:
    """Look at one fact of a target."""
    target, name = task
    with redirect_stdout(sys.stderr):  # What a separator prints is no part of the report.
        return FACTS[name].look_at(target.subject)
