"""Runs the command line: in this process, as starting another takes a second or more."""

from __future__ import annotations

import sys

from click.testing import CliRunner, Result

from sepbench.cli.main import main


def interruptible(*words: object) -> list[str]:
    """Return the command of a new process that a test can stop by SIGINT.

    A shell that starts the tests in the background has them, and their processes, ignore it.
    """
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from sepbench.cli.main import main; main()"
    )
    return [sys.executable, "-c", script, *(str(word) for word in words)]


def run(*words: object, input: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=input)
