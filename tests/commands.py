"""Runs the command line in this process: starting another takes a second or more."""

from __future__ import annotations

from click.testing import CliRunner, Result

from sepbench.cli.main import main


def run(*words: object, input: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=input)
