"""Patterns of output files."""

from __future__ import annotations

from pathlib import Path

import pytest

from sepbench.errors import SepbenchError
from sepbench.inference.jobs import SeparateOptions


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{stem:d}/x", "without ':' or '!' in the braces"),
        ("{stem!x}", "without ':' or '!' in the braces"),
        ("{track:{x}}/{stem}", "without ':' or '!' in the braces"),
        ("{}{stem}", "use {method}, {track} and {stem}, the last always, and {hash}"),
        ("{stem[0]}", "use {method}, {track} and {stem}, the last always, and {hash}"),
        ("{track}", "use {method}, {track} and {stem}, the last always, and {hash}"),
        ("{stem", "expected '}' before end of string"),
    ],
)
def test_a_pattern_that_cannot_be_filled_is_one_line(pattern: str, message: str) -> None:
    with pytest.raises(SepbenchError) as caught:
        SeparateOptions(Path("out"), pattern=pattern)
    assert str(caught.value).startswith(f"--name {pattern!r}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_doubled_braces_are_literal() -> None:
    assert SeparateOptions(Path("out"), pattern="{{track}}/{stem}").pattern == "{{track}}/{stem}"
