"""What all verbs print alike: messages, tables, progress and JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

_WIDE = 200

messages = Console(stderr=True, soft_wrap=True, highlight=False)
"""For everything that is not the result: it goes to standard error."""


def warn(text: str) -> None:
    """Print one line of warning."""
    messages.print("[yellow]warning:[/] ", end="")
    messages.print(text, markup=False)


def fail(text: str) -> None:
    """Print one line about something that went wrong while the rest goes on."""
    messages.print("[red]error:[/] ", end="")
    messages.print(text, markup=False)


def say(text: str) -> None:
    """Print one line for a person, verbatim."""
    messages.print(text, markup=False)


def show(table: Table) -> None:
    """Print a table to standard output, never cut where the output is a file or a pipe."""
    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)


def show_json(value: Any) -> None:
    """Print ``value`` as JSON to standard output; NaN becomes null."""
    click.echo(json.dumps(_finite(value), indent=1, ensure_ascii=False))


def counting() -> Progress:
    """Return a bar that counts what is done, with the time left."""
    return _bar(MofNCompleteColumn())


def fraction() -> Progress:
    """Return a bar for work of which only the share that is done is known."""
    return _bar()


def _bar(*more: ProgressColumn) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *more,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value != value else value
