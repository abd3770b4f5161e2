"""What holds of every verb."""

from __future__ import annotations

from collections.abc import Iterator

import click

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
