"""The command ``sepbench``: its verbs, loaded when they are used, and its errors in one line."""

from __future__ import annotations

import importlib
import os
from errno import EACCES, EIO, ELOOP, ENAMETOOLONG, ENOSPC, EPERM, EROFS
from typing import Any

import click

from sepbench import __version__
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
    "methods",
    "metrics",
    "data",
    "prepare",
    "train",
    "weights",
    "plugin",
)


_REFUSALS = {EACCES, EPERM, EROFS, ENAMETOOLONG, ELOOP, ENOSPC, EIO}
"""What the system says of files where nothing is wrong with the program."""

_CURE = "see to that file or folder, or choose another"

_INTERRUPTED = 130
_SAME = "the same command goes on where it was"
_GOES_ON = {
    "separate": _SAME,
    "evaluate": _SAME,
    "prepare": _SAME,
    "weights": _SAME,
    "train": "once an epoch is whole, --resume goes on after the last",
}

# Threads that spin while they wait for work are several times slower on a machine that is busy with
# anything else, and no faster on one that is not. Read by OpenMP when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class _OneLineError(click.ClickException):
    exit_code = 2

    def show(self, file: Any = None) -> None:
        click.echo(f"{click.style('error:', fg='red')} {self.message}", err=True)


class _Verbs(click.Group):
    """Imports the module of a verb only when that verb, or the list of all, is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"sepbench.cli.{name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SepbenchError as error:
            if ctx.params["debug"]:
                raise
            raise _OneLineError(str(error)) from error
        except OSError as error:
            if ctx.params["debug"] or error.errno not in _REFUSALS or not error.filename:
                raise
            reason = (error.strerror or "").lower()
            raise _OneLineError(f"{error.filename}: {reason}; {_CURE}") from error
        except KeyboardInterrupt:
            goes_on = _GOES_ON.get(ctx.invoked_subcommand or "")
            click.echo(f"stopped; {goes_on}" if goes_on else "stopped", err=True)
            ctx.exit(_INTERRUPTED)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sepbench")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Run many music source separators on the same songs, and say which one is better.

    \b
    sepbench separate -m hpss song.wav      stems of a song in ./separated
    sepbench evaluate --all                 every method on the built-in excerpt, scored
    sepbench methods                        what is installed
    """
