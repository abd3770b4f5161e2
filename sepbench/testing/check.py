"""What a fact of the contract is, and what comes of looking at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from sepbench.testing.subject import Subject

PASSED, FAILED, NOTE = "passed", "failed", "note"
NOT_APPLICABLE, NOT_SEEN = "not applicable", "not looked at"

_SHOWN = {PASSED: "ok", FAILED: "FAILED", NOTE: "note", NOT_APPLICABLE: "n/a", NOT_SEEN: "-"}

_LONGEST = 60
"""Letters of what is told of a fact that holds."""


class CheckFailed(Exception):  # noqa: N818 - what a fact finds, not an error of the kit
    """A fact does not hold: what came instead, and how to mend it if the fact's own cure won't."""

    def __init__(self, got: str, cure: str = "") -> None:
        super().__init__(got)
        self.cure = cure


class NotApplicable(Exception):  # noqa: N818
    """A fact says nothing about this separator; the text says why."""


class Note(Exception):  # noqa: N818
    """A fact is no fault either way, and worth knowing."""


@dataclass(frozen=True)
class Outcome:
    """What came of one fact.

    ``status`` is ``passed``, ``failed``, ``note``, ``not applicable``, or ``not looked at`` where
    another fact stands in the way.
    """

    fact: str
    status: str
    expected: str
    got: str
    cure: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the same, ready for JSON."""
        return asdict(self)

    def line(self) -> str:
        """Return one line for a person."""
        shown = f"{_SHOWN[self.status]:6}  {self.fact:14}  "
        if self.status in (NOT_APPLICABLE, NOT_SEEN):
            return f"{shown}{self.got}"
        if self.status == FAILED:
            return f"{shown}expected: {self.expected}; got: {self.got}; mend: {self.cure}"
        got = self.got if len(self.got) <= _LONGEST else f"{self.got[: _LONGEST - 1]}…"
        return f"{shown}{self.expected}: {got}"


@dataclass(frozen=True)
class Fact:
    """One thing that must hold of every separator.

    ``judge`` returns what it saw where the fact holds, and raises `CheckFailed` where not. After
    a ``gate`` that is not passed the facts behind it cannot be looked at.
    """

    name: str
    expected: str
    cure: str
    judge: Callable[[Subject], str]
    gate: bool

    def outcome(self, status: str, got: str, cure: str = "") -> Outcome:
        """Return an outcome of this fact."""
        return Outcome(self.name, status, self.expected, got, cure)

    def look_at(self, subject: Callable[[], Subject]) -> Outcome:
        """Judge what ``subject`` returns; whatever goes wrong in either is a fault of its own."""
        try:
            return self.outcome(PASSED, self.judge(subject()))
        except NotApplicable as reason:
            return self.outcome(NOT_APPLICABLE, str(reason))
        except Note as note:
            return self.outcome(NOTE, str(note))
        except CheckFailed as fault:
            return self.outcome(FAILED, str(fault), fault.cure or self.cure)
        except SepbenchError as error:
            return self.outcome(FAILED, str(error), self.cure)
        except (Exception, SystemExit) as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())
            return self.outcome(FAILED, said, self.cure)


def fact(*, mend: str, gate: bool = False) -> Callable[[Callable[[Subject], str]], Fact]:
    """Make a `Fact` of a function that judges it: its name, and its docstring as what must hold."""

    def decorate(judge: Callable[[Subject], str]) -> Fact:
        said = " ".join((judge.__doc__ or "").split()).removesuffix(".")
        expected = said[:1].lower() + said[1:]
        return Fact(judge.__name__.rstrip("_").replace("_", "-"), expected, mend, judge, gate)

    return decorate
