"""What holds of every verb."""

from __future__ import annotations

from collections.abc import Iterator

import click
import commands
import pytest

from sepbench.cli.main import main


def verbs(of: click.Command, name: str = "sepbench") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(of, click.Group):
        yield name, of
        return
    context = click.Context(of)
    for verb in of.list_commands(context):
        below = of.get_command(context, verb)
        assert below is not None
        yield from verbs(below, f"{name} {verb}")


def test_every_command_prints_for_programs() -> None:
    without = [
        name
        for name, verb in verbs(main)
        if not any("--json" in parameter.opts for parameter in verb.params)
    ]
    assert without == []


@pytest.mark.parametrize("of", [[], ["weights"], ["plugin"], ["listen"]], ids=" ".join)
def test_lists_of_commands_have_whole_sentences(of: list[str]) -> None:
    assert "..." not in commands.run(*of, "-h").output.split("Commands:")[1]


def test_help_has_no_values_of_python() -> None:
    texts = [
        f"{name} {' '.join(option.get_help_record(click.Context(verb)) or ())}"
        for name, verb in verbs(main)
        for option in verb.params
        if isinstance(option, click.Option)
    ]
    assert [text for text in texts if "None" in text] == []
