"""Options of every command: ``-q``, ``-v`` and ``--debug``."""

from __future__ import annotations

import traceback

import click

DEBUG = "sepbench.debug"
"""Key of a context's ``meta`` that requests tracebacks."""


def add_general_options(command: click.Command) -> click.Command:
    """Add the options to a command and its subcommands, each once."""
    known = {name for param in command.params for name in param.opts}
    for option in (_quiet(), _verbose(), _debug()):
        option.opts = [name for name in option.opts if name not in known]
        if option.opts and option.name not in {param.name for param in command.params}:
            command.params.append(option)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            add_general_options(below)
    return command


def show_traceback() -> None:
    """Print the traceback of the current error, if ``--debug`` was given."""
    ctx = click.get_current_context()
    if ctx.meta.get(DEBUG) or ctx.find_root().params.get("debug"):
        traceback.print_exc()


def _set_quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from sepbench.cli.console import set_verbosity

        set_verbosity(quiet=True)
        ctx.call_on_close(set_verbosity)


def _set_verbose(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from sepbench.cli.console import set_verbosity

        set_verbosity(verbose=True)
        ctx.call_on_close(set_verbosity)


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[DEBUG] = True


def _quiet() -> click.Option:
    return click.Option(
        ["-q", "--quiet", "quiet_"],
        is_flag=True,
        expose_value=False,
        callback=_set_quiet,
        help="Print only errors.",
    )


def _verbose() -> click.Option:
    return click.Option(
        ["-v", "--verbose", "verbose_"],
        is_flag=True,
        expose_value=False,
        callback=_set_verbose,
        help="Say more.",
    )


def _debug() -> click.Option:
    return click.Option(
        ["--debug", "debug_"],
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )
