"""The command ``sepbench``: commands loaded on use, and one-line errors."""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EIO, ELOOP, ENAMETOOLONG, ENOSPC, EPERM, EROFS
from pathlib import Path
from types import FrameType
from typing import Any

import click

from sepbench import __version__
from sepbench._util.text import printable
from sepbench.cli.general import DEBUG, add_general_options
from sepbench.errors import SepbenchError

_VERBS = (
    "separate",
    "evaluate",
    "score",
    "activity",
    "report",
    "compare",
    "diff",
    "leaderboard",
    "listen",
    "methods",
    "metrics",
    "data",
    "prepare",
    "train",
    "weights",
    "plugin",
)


_REFUSALS = {EACCES, EPERM, EROFS, ENAMETOOLONG, ELOOP, ENOSPC, EIO}
"""Errors of the file system that are not bugs of the program."""

_CURE = "check that file or folder, or choose another"

_STOPPED = 128
"""Added to a signal's number, the exit status of a program killed by it."""

_SAME = "the same command resumes"
_GOES_ON = {
    "separate": _SAME,
    "evaluate": _SAME,
    "prepare": _SAME,
    "weights": _SAME,
    "train": "--resume continues after the last whole epoch",
}

# Threads that spin while waiting for work are several times slower on a busy machine, and no faster
# on an idle one. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class _OneLineError(click.ClickException):
    exit_code = 2

    def show(self, file: Any = None) -> None:
        message = printable(self.message, keep="\n")
        click.echo(f"{click.style('error:', fg='red')} {message}", err=True)


class _Verbs(click.Group):
    """Imports the module of a command only when it, or the list of all, is requested."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"sepbench.cli.{name}").command
        return add_general_options(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], _VERBS, n=1)
            if not close and Path(args[0]).exists():
                cure = f"did you mean 'sepbench separate {args[0]}'?"
                raise click.UsageError(f"no command {args[0]!r}; {cure}", ctx) from error
            if not close:
                raise
            cure = f"did you mean '{close[0]}'?"
            raise click.UsageError(f"no command {args[0]!r}; {cure}", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _signals_unwind():
                return super().invoke(ctx)
        except SepbenchError as error:
            if ctx.params["debug"] or ctx.meta.get(DEBUG):
                raise
            raise _OneLineError(str(error)) from error
        except OSError as error:
            debug = ctx.params["debug"] or ctx.meta.get(DEBUG)
            if debug or error.errno not in _REFUSALS or not error.filename:
                raise
            reason = (error.strerror or "").lower()
            raise _OneLineError(f"{error.filename}: {reason}; {_CURE}") from error
        except KeyboardInterrupt as stop:
            goes_on = _GOES_ON.get(ctx.invoked_subcommand or "")
            with suppress(OSError):  # After a hang-up nobody can read the message.
                click.echo(f"stopped; {goes_on}" if goes_on else "stopped", err=True)
            ctx.exit(_STOPPED + (stop.number if isinstance(stop, _Signal) else signal.SIGINT))


class _Signal(KeyboardInterrupt):
    """A signal to terminate, handled like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP like Ctrl-C, which cleans up unfinished work."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Signal(number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in names:
            number = getattr(signal, name)
            # An ignored signal, as under nohup, stays ignored.
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sepbench")
@click.option("--debug", is_flag=True, hidden=True)
def main(debug: bool) -> None:
    """Run many music source separators on the same songs, and compare them.

    \b
    sepbench separate song.mp3              stems of a song in ./separated
    sepbench evaluate --all                 every method on the built-in excerpt, scored
    sepbench methods                        what is installed
    """
