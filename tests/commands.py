"""Runs the command line: in this process, as starting another takes a second or more."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def locked_elsewhere(lock: Path) -> Iterator[None]:
    """Have another process hold a lock; it is killed at the end."""
    hold = (
        "import sys, pathlib; from sepbench._util.locking import alone\n"
        "with alone(pathlib.Path(sys.argv[1])) as held: print(held, flush=True); input()"
    )
    words = [sys.executable, "-c", hold, str(lock)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        try:
            yield
        finally:
            other.kill()
