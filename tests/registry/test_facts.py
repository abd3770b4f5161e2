"""Absurd facts of separators are refused when they are read, with the fact and a cure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import cycle, starmap
from typing import Any

import pytest
from fakes import Calm

from sepbench.dsp.wiener import MultichannelWiener
from sepbench.errors import MethodError, SepbenchError
from sepbench.options import NoOptions
from sepbench.registry import Method, plugins
from sepbench.registry.facts import FACTS, invalid_fact, invalid_file_fact
from sepbench.separator import SampleCount, Separator, option

LOOP: dict[str, Any] = {}
LOOP["itself"] = LOOP


class Reading:
    """A fact that runs code where it is read."""

    def __init__(self, *values: Any) -> None:
        self.values = cycle(values)

    def __get__(self, instance: object, owner: type) -> Any:
        value = next(self.values)
        if isinstance(value, BaseException):
            raise value
        return value


class Mute:
    def __repr__(self) -> str:
        raise KeyboardInterrupt


ABSURD = {
    "sample_rate": [10**9, 0, -1, 2**70, math.nan, "44100", 44100.5, True],
    "context": [math.inf, math.nan, -1.0, "10", [1], 1j, True, *map(SampleCount, (-5, 10**15))],
    "block_context": [math.inf, math.nan, -3.0, "x", None],
    "block_alignment": [0, -2, 2.5, math.nan, "x", None],
    "channels": [0, 3, -1, "2", math.nan, True],
    "level": [math.nan, -math.inf, "loud", 1e6, -700.0],
    "memory_per_second": [math.nan, -1.0, math.inf, "x"],
    "stereo_filter": [
        2,
        "wiener",
        *starmap(MultichannelWiener, ((0, 1), (44_100, -1), (8000, 10**9))),
    ],
    "stems": ["vocals", ("vocals", "vocals"), (), None, (1,), {"vocals"}, ("../v",), ("mixture",)],
    "remainder": ["nothing", 5],
    "trained_on": ["musdb18", 5, None, (("a",),)],
    "trained_songs": [["a"], {"a": math.nan}, {"a": "x"}, None],
    "trained_sounds": ["abc", None, {1}],
    "version": [1, None, Mute()],
    "summary": [5, None],
    "license": [None],
    "citation": [object()],
    "needs": ["x", None],
    "weight_files": ["x", None, ({"file": "x"},)],
    "provenance": [[1], {"a": math.nan}, {"a": {1}}, {"a": object()}, LOOP, None],
    "batch": ["yes", None],
    "warms_up": ["no"],
    "members": ["abc"],
    "Options": [None, dict],
}
READ = [ValueError("no"), SystemExit(0), RecursionError()]


def made(fact: str, value: Any) -> type[Separator]:
    """Return a good separator with one bad fact."""
    facts = {"context": 0.1, "block_context": 0.1, fact: value}
    return type("Absurd", (Calm,), facts)


def fault(kind: type[Separator]) -> str | None:
    separator = kind(NoOptions())
    return invalid_fact(separator) or invalid_file_fact(separator)


@pytest.mark.parametrize(
    ("fact", "value"), [(fact, value) for fact, values in ABSURD.items() for value in values]
)
def test_refused_with_its_name(fact: str, value: Any) -> None:
    said = fault(made(fact, value))
    assert said is not None
    assert fact in said
    assert "\n" not in said
    assert len(said) < 200


@pytest.mark.parametrize("fact", FACTS)
def test_that_raises_when_it_is_read(fact: str) -> None:
    for error in READ:
        said = fault(made(fact, Reading(error)))
        assert said is not None
        assert said.startswith(f"{fact} cannot be read: {type(error).__name__}")
    left = fault(made(fact, Reading(SepbenchError("it depends on an option"))))
    assert left is None


def test_that_differs_between_two_reads() -> None:
    kind = made("sample_rate", Reading(8000, 44100))
    assert fault(kind) == "sample_rate differs each time it is read: declare one value"
    with pytest.raises(MethodError, match="method calm: sample_rate differs"):
        Method("calm", kind, NoOptions(), "tests 1").create()


@dataclass(frozen=True)
class Optional:
    gain: int | None = option(None, "factor")


@dataclass(frozen=True)
class Table:
    gains: tuple[float, ...] = option((1.0, 2.0), "factors")


@dataclass(frozen=True)
class Range:
    order: int = option(1, "order", choices=range(3))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Optional, "option gain is of type int | None, not bool, int, float, str"),
        (Table, "option gains is of type tuple, not bool, int, float, str"),
        (Range, "an option has a default, a limit or a choice that JSON cannot hold"),
    ],
)
def test_options_that_text_or_json_cannot_hold_are_refused(kind: type[Any], reason: str) -> None:
    assert invalid_fact(made("Options", kind)(kind())) == reason


class NoArguments(Calm):
    def __init__(self) -> None:
        super().__init__()


def test_a_class_that_cannot_be_made_is_one_line_that_names_it() -> None:
    with pytest.raises(MethodError, match=r"method calm: TypeError: .*takes 1 positional"):
        Method("calm", NoArguments, NoOptions(), "tests 1").create()


def test_of_files_are_checked_for_the_identity_of_a_run() -> None:
    method = Method("calm", made("provenance", {"a": object()}), NoOptions(), "tests 1")
    with pytest.raises(MethodError, match="declare a mapping that JSON can hold"):
        _ = method.identity


def test_of_bundled_methods_are_right() -> None:
    bundled = [info for info in plugins() if info.separator is not None]
    assert len(bundled) > 20
    assert not [info for info in bundled if info.broken]
