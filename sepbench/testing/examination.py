"""Runs the checks of a plugin one by one, in this or in a separate process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from sepbench import options as opts
from sepbench import registry
from sepbench._util.process import WorkerDied, WorkerProcess
from sepbench.datasets.discovery import GROUP as DATASETS
from sepbench.errors import SepbenchError
from sepbench.registry.metrics import METRIC_GROUP
from sepbench.testing import dataset, metadata, metric, outputs, side_effects
from sepbench.testing.check import FAILED, NOT_SEEN, NOTE, PASSED, Check, CheckFailed, Outcome
from sepbench.testing.dataset import DatasetSubject
from sepbench.testing.metric import MetricSubject
from sepbench.testing.printed import STANDARD_ERROR, STANDARD_OUTPUT, printed_to
from sepbench.testing.subject import Subject

CHECKS: Mapping[str, Check] = {
    check.name: check for check in (*metadata.CHECKS, *outputs.CHECKS, *side_effects.CHECKS)
}
"""Every check of a separator by name, in order."""

DATASET_CHECKS: Mapping[str, Check] = {check.name: check for check in dataset.CHECKS}
"""Every check of a data set."""

METRIC_CHECKS: Mapping[str, Check] = {check.name: check for check in metric.CHECKS}
"""Every check of a metric."""

Kind = Literal["separator", "data set", "metric"]

_BY_KIND: Mapping[Kind, Mapping[str, Check]] = {
    "separator": CHECKS,
    "data set": DATASET_CHECKS,
    "metric": METRIC_CHECKS,
}

_GROUPS = (registry.GROUP, DATASETS, METRIC_GROUP)

_LISTS = "'sepbench methods', 'sepbench data' and 'sepbench metrics' list them"

_FORM = "write it as NAME, or as MODULE:CLASS such as my_module:MySeparator"


class Examination:
    """The checks of one plugin, each run once, until a required one does not pass."""

    def __init__(self, run: Callable[[Check], Outcome], checks: Mapping[str, Check]) -> None:
        self._run = run
        self._checks = checks
        self._known: dict[str, Outcome] = {}

    def __iter__(self) -> Iterator[Outcome]:
        """Yield the outcome of every check."""
        return map(self.outcome, self._checks.values())

    def outcome(self, check: Check) -> Outcome:
        """Return the outcome of one check, after running the required ones before it."""
        if check.name not in self._known:
            failed = self._failed_before(check)
            self._known[check.name] = (
                self._run(check)
                if failed is None
                else check.outcome(NOT_SEEN, f"because of {failed.check}: {failed.got}")
            )
        return self._known[check.name]

    def _failed_before(self, check: Check) -> Outcome | None:
        for other in self._checks.values():
            if other is check:
                return None
            if other.required and self.outcome(other).status not in (PASSED, NOTE):
                return self.outcome(other)
        return None


@dataclass(frozen=True)
class Target:
    """A plugin to check: its ``module:class``, its options, and its name if given.

    ``seconds`` is the length of the longest song; ``root`` is the folder of a data set.
    """

    where: str
    values: tuple[tuple[str, str], ...] = ()
    name: str = ""
    device: str = "cpu"
    seconds: float = 60.0
    root: Path | None = None
    kind: Kind = "separator"

    @property
    def checks(self) -> Mapping[str, Check]:
        """The checks of plugins of this kind."""
        return _BY_KIND[self.kind]

    @cache  # noqa: B019 - one subject a process, and the process is for it alone
    def subject(self) -> Subject | DatasetSubject | MetricSubject:
        """Import the class; raise `CheckFailed` if it is not a plugin of this kind."""
        kind = self._import()
        if self.kind == "data set":
            return DatasetSubject(kind, self.name, self.root)
        if self.kind == "metric":
            return MetricSubject(kind, self.name, dict(self.values))
        name = self.name or getattr(kind, "name", "")
        if reason := registry.validate(EntryPoint(name, self.where, registry.GROUP), kind):
            raise CheckFailed(reason)
        try:
            method = registry.variant(kind, dict(self.values))
        except SepbenchError as error:
            raise CheckFailed(str(error), "leave the option out, or correct it") from None
        return Subject(method, device=self.device, seconds=self.seconds, name=self.name)

    def _import(self) -> Any:
        module, _, path = self.where.partition(":")
        kind: Any = importlib.import_module(module)
        for part in path.split("."):
            if not hasattr(kind, part):
                raise CheckFailed(f"{module} has no {path}", "write it as MODULE:CLASS")
            kind = getattr(kind, part)
        return kind


def find(
    spec: str,
    *,
    device: str = "cpu",
    seconds: float = 60.0,
    root: Path | None = None,
    kind: Kind = "separator",
) -> Target:
    """Return the plugin ``NAME`` or ``MODULE:CLASS``, either with ``[option=value,...]``.

    A class is a data set if ``root`` is given, else a plugin of this ``kind``. Imports nothing.
    Raises `SepbenchError` for an unregistered name.
    """
    name, values = opts.parse_spec(spec)
    several = [key for key, given in values.items() if len(given) > 1]
    if several:
        raise SepbenchError(f"method {spec!r}: give {several[0]} one value; one variant is checked")
    chosen = tuple((key, given[0]) for key, given in values.items())
    if ":" in name:
        _check_place(name)
        return Target(name, chosen, "", device, seconds, root, "data set" if root else kind)
    if name.endswith(".py"):
        raise SepbenchError(f"{name}: {_FORM}, in the folder that contains the file")
    if points := entry_points(group=registry.GROUP, name=name):
        return Target(next(iter(points)).value, chosen, name, device, seconds)
    if points := entry_points(group=DATASETS, name=name):
        where = next(iter(points)).value
        return Target(where, (), name, device, seconds, root, "data set")
    if points := entry_points(group=METRIC_GROUP, name=name):
        where = next(iter(points)).value
        return Target(where, chosen, name, device, seconds, kind="metric")
    known = [point.name for group in _GROUPS for point in entry_points(group=group)]
    close = get_close_matches(name, known, n=1)
    cure = f"did you mean {close[0]!r}?" if close else f"{_LISTS}; or {_FORM}"
    raise SepbenchError(f"no plugin {name!r}; {cure}")


def _check_place(where: str) -> None:
    """Raise `SepbenchError` if it is not a ``module:class`` of an existing module."""
    module, _, path = where.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *path.split("."))):
        raise SepbenchError(f"{where!r}: {_FORM}")
    top = module.partition(".")[0]
    if top not in sys.modules and find_spec(top) is None:
        raise SepbenchError(f"{where}: no module {top!r} here; install it, or go to its folder")


def in_worker(target: Target, worker: WorkerProcess[tuple[Target, str]]) -> Examination:
    """Return an examination in another process, so that a crash or a hang is a failed check.

    The ``worker`` calls `run_check`.
    """

    def run(check: Check) -> Outcome:
        try:
            outcome: Outcome = worker.run((target, check.name))
        except WorkerDied as death:
            fix = "find what it was doing with python -X faulthandler; or give more --timeout"
            return check.outcome(FAILED, str(death), fix)
        return outcome

    return Examination(run, target.checks)


def run_check(task: tuple[Target, str]) -> Outcome:
    """Run one check of a target."""
    target, name = task
    # Output of plugins is not part of the report.
    with printed_to(STANDARD_ERROR, STANDARD_OUTPUT), redirect_stdout(sys.stderr):
        return target.checks[name].run(target.subject)
