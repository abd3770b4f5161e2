from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepbench import options
from sepbench.errors import SepbenchError
from sepbench.options import option


@dataclass(frozen=True)
class Some:
    margin: float = option(1.0, "how much", minimum=1.0, maximum=10.0)
    frames: int = option(31, "how many", minimum=1)
    kind: str = option("soft", "which", choices=("soft", "hard"))
    fast: bool = option(False, "whether")


@dataclass(frozen=True)
class Bare:
    margin: float = option(1.0, "how much")
    of: str = option("a", "of what", unnamed=True)


def made(text: str) -> Some:
    name, values = options.parse_spec(text)
    (chosen,) = options.expand(values)
    built = options.build(Some, chosen, method=name)
    assert isinstance(built, Some)
    return built


def test_texts_become_values_of_the_declared_types() -> None:
    chosen = made("x[margin=2,frames=17,kind=hard,fast=yes]")
    assert chosen == Some(2.0, 17, "hard", True)
    assert isinstance(chosen.margin, float)
    assert isinstance(chosen.frames, int)


def test_a_label_names_only_what_differs_and_reads_back_as_the_same_options() -> None:
    chosen = Some(margin=2.5, fast=True)
    text = options.variant_name("x", chosen)
    assert text == "x[margin=2.5,fast=true]"
    assert made(text) == chosen
    assert options.variant_name("x", Some()) == "x"


@given(st.floats(1, 10), st.integers(1, 10**6), st.sampled_from(["soft", "hard"]), st.booleans())
def test_every_label_reads_back(margin: float, frames: int, kind: str, fast: bool) -> None:
    chosen = Some(margin, frames, kind, fast)
    assert made(options.variant_name("x", chosen)) == chosen


def test_a_value_without_a_name_is_that_of_the_option_that_may_go_unnamed() -> None:
    name, values = options.parse_spec("x[a+b[c=1,d],e,margin=2]")
    first, second = (options.build(Bare, c, method=name) for c in options.expand(values))
    assert first == Bare(2.0, "a+b[c=1,d]")
    assert second == Bare(2.0, "e")
    text = options.variant_name("x", first)
    assert text == "x[a+b[c=1,d],margin=2]"
    assert options.parse_spec(text) == ("x", {"": ["a+b[c=1,d]"], "margin": ["2"]})


def test_a_value_is_given_with_its_name_or_without_not_both() -> None:
    name, values = options.parse_spec("x[a,of=b]")
    with pytest.raises(SepbenchError, match="option 'of' is given twice"):
        options.build(Bare, options.expand(values)[0], method=name)


def test_several_values_stand_for_every_combination() -> None:
    _, values = options.parse_spec("x[margin=1,2,frames=3,5]")
    combined = [(c["margin"], c["frames"]) for c in options.expand(values)]
    assert combined == [("1", "3"), ("1", "5"), ("2", "3"), ("2", "5")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x[margn=2]", "did you mean 'margin'"),
        ("x[margin=0.5]", "must be from 1 to 10"),
        ("x[margin=nan]", "must be a finite number"),
        ("x[margin=inf]", "must be a finite number"),
        ("x[frames=0]", "must be at least 1"),
        ("x[frames=2.5]", "expected a whole number"),
        ("x[kind=mild]", "choose one of soft, hard"),
        ("x[fast=perhaps]", "expected true or false"),
        ("x[7]", "'7' has no option name"),
        ("x[margin=1", "'x[margin=1': its brackets do not match"),
        ("x[margin=1]]", "'x[margin=1]]': its brackets do not match"),
        ("x[a]b[c]", "write it as NAME"),
    ],
)
def test_a_wrong_option_is_one_line_that_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(SepbenchError) as caught:
        made(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_refuse_a_combination_are_one_line_of_the_method() -> None:
    @dataclass(frozen=True)
    class Even(Some):
        def __post_init__(self) -> None:
            if self.frames % 2:
                raise ValueError("frames must\nbe even")

    with pytest.raises(SepbenchError, match=r"^method x: ValueError: frames must be even$"):
        options.build(Even, {}, method="x")
