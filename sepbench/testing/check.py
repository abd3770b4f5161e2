"""Checks of the contract and their outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import EntryPoint
from typing import Any

from sepbench.errors import SepbenchError

PASSED, FAILED, NOTE = "passed", "failed", "note"
NOT_APPLICABLE, NOT_SEEN = "not applicable", "not run"

_SHOWN = {PASSED: "ok", FAILED: "FAILED", NOTE: "note", NOT_APPLICABLE: "n/a", NOT_SEEN: "-"}

_LONGEST = 60
"""Largest length of a passed check's finding."""


class CheckFailed(Exception):  # noqa: N818 - an outcome, not an error of the kit
    """A check failed; ``fix`` replaces the check's own if given."""

    def __init__(self, got: str, fix: str = "") -> None:
        super().__init__(got)
        self.fix = fix


class NotApplicable(Exception):  # noqa: N818
    """A check does not apply to this plugin; the text says why."""


class Note(Exception):  # noqa: N818
    """A check that neither passes nor fails; the text says what it found."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    ``status`` is ``passed``, ``failed``, ``note``, ``not applicable``, or ``not run`` if a required
    check before it did not pass.
    """

    check: str
    status: str
    expected: str
    got: str
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the same, ready for JSON."""
        return asdict(self)

    def line(self) -> str:
        """Return one line for the user."""
        shown = f"{_SHOWN[self.status]:6}  {self.check:15}  "
        if self.status in (NOT_APPLICABLE, NOT_SEEN):
            return f"{shown}{self.got}"
        if self.status == FAILED:
            return f"{shown}expected: {self.expected}; got: {self.got}; fix: {self.fix}"
        got = self.got if len(self.got) <= _LONGEST else f"{self.got[: _LONGEST - 1]}…"
        return f"{shown}{self.expected}: {got}"


@dataclass(frozen=True)
class Check:
    """A check of every plugin of a kind.

    ``function`` takes the subject. It returns its finding if the check passes, and raises
    `CheckFailed` otherwise. If a ``required`` check does not pass, later ones are not run.
    """

    name: str
    expected: str
    fix: str
    function: Callable[[Any], str]
    required: bool

    def outcome(self, status: str, got: str, fix: str = "") -> Outcome:
        """Return an outcome of this check."""
        return Outcome(self.name, status, self.expected, got, fix)

    def run(self, subject: Callable[[], Any]) -> Outcome:
        """Run the check on the result of ``subject``; any exception is a failure."""
        try:
            return self.outcome(PASSED, self.function(subject()))
        except NotApplicable as reason:
            return self.outcome(NOT_APPLICABLE, str(reason))
        except Note as note:
            return self.outcome(NOTE, str(note))
        except CheckFailed as failure:
            return self.outcome(FAILED, str(failure), failure.fix or self.fix)
        except SepbenchError as error:
            return self.outcome(FAILED, str(error), self.fix)
        except (Exception, SystemExit) as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            return self.outcome(FAILED, said, self.fix)


def valid_plugin(
    kind: type, name: str, group: str, validate: Callable[[EntryPoint, Any], str | None]
) -> str:
    """Return the ``module:class`` of a plugin.

    Raises `CheckFailed` with the reason of ``validate`` for an entry point ``name`` of ``group``.
    """
    where = f"{kind.__module__}:{kind.__qualname__}"
    if reason := validate(EntryPoint(name, where, group), kind):
        raise CheckFailed(reason)
    return where


def check(*, fix: str, required: bool = False) -> Callable[[Callable[[Any], str]], Check]:
    """Make a `Check` from a function: its name, with its docstring as the expectation.

    ``fix`` is an instruction to fix a failure.
    """

    def decorate(function: Callable[[Any], str]) -> Check:
        said = " ".join((function.__doc__ or "").split()).removesuffix(".")
        expected = said[:1].lower() + said[1:]
        name = function.__name__.rstrip("_").replace("_", "-")
        return Check(name, expected, fix, function, required)

    return decorate
