"""Output of all commands: messages, tables, progress and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

import click
from rich.console import Console
from rich.measure import Measurement
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
from rich.progress import Task as RichTask
from rich.table import Column, Table
from rich.text import Text

from sepbench._util.plain import finite
from sepbench._util.text import printable

_WIDE = 200

messages = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
"""Everything but the result goes to standard error.

Names are printed as they are: ``a:b:c`` is not a name of an emoji.
"""


_detailed = False


def set_verbosity(*, quiet: bool = False, verbose: bool = False) -> None:
    """Print only errors if ``quiet``, and more if ``verbose``; see `is_detailed`."""
    global _detailed
    messages.quiet = quiet
    _detailed = verbose


def is_detailed() -> bool:
    """Return whether ``-v`` was given."""
    return _detailed


def warn(text: str) -> None:
    """Print one line of warning."""
    messages.print("[yellow]warning:[/] ", end="")
    messages.print(printable(text, keep="\n"), markup=False)


def fail(text: str) -> None:
    """Print one line about a failure that does not stop the command."""
    quiet, messages.quiet = messages.quiet, False
    messages.print("[red]error:[/] ", end="")
    messages.print(printable(text, keep="\n"), markup=False)
    messages.quiet = quiet


def say(text: str) -> None:
    """Print one line verbatim."""
    messages.print(printable(text, keep="\n"), markup=False)


def show(table: Table) -> None:
    """Print a table to standard output; in a file or pipe it is never truncated.

    In a narrow terminal its columns are split into several tables, each with the first column.
    """
    width = None if sys.stdout.isatty() else _WIDE
    console = Console(width=width, highlight=False, emoji=False)
    for part in _fitting(table, console):
        console.print(part)


def _fitting(table: Table, console: Console) -> Iterator[Table]:
    """Yield the table, split by columns if its words do not fit the width."""
    _, right, _, left = table.padding
    needed = [left + right + _width(column, console) for column in table.columns]
    if sum(needed) <= console.width:
        for column, width in zip(table.columns, needed, strict=True):
            # Rich would truncate the longest word instead of wrapping another column.
            column.no_wrap = width == left + right + _longest(column, console)
        yield table
        return
    first, *others = table.columns
    room = console.width - min(needed[0], console.width // 2)
    part: list[Column] = []
    taken = 0
    for column, width in zip(others, needed[1:], strict=True):
        if part and taken + width > room:
            yield _of([first, *part], table)
            part, taken = [], 0
        part.append(column)
        taken += width
    yield _of([first, *part], table)


def _width(column: Column, console: Console) -> int:
    """Return the least width at which no word (or unwrappable cell) of a column is truncated."""
    cells = [
        Measurement.get(console, console.options, cell) for cell in (column.header, *column.cells)
    ]
    return max(cell.maximum if column.no_wrap else cell.minimum for cell in cells)


def _longest(column: Column, console: Console) -> int:
    """Return the width of a column's longest cell on one line."""
    cells = (column.header, *column.cells)
    return max(Measurement.get(console, console.options, cell).maximum for cell in cells)


def _of(columns: Sequence[Column], table: Table) -> Table:
    """Return a table of ``columns``; the first one folds if it is too long."""
    part = Table(box=table.box, padding=table.padding)
    for column in columns:
        part.add_column(
            column.header,
            justify=column.justify,
            vertical=column.vertical,
            no_wrap=column.no_wrap,
            overflow="fold",
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        if any(cells[1:]):
            part.add_row(*cells)
    return part


_for_json: TextIO | None = None
"""Standard output while `json_alone` redirects everything else."""


def show_json(value: Any) -> None:
    """Print ``value`` as JSON to standard output; NaN becomes null."""
    text = json.dumps(finite(value), indent=1, ensure_ascii=False)
    # Bytes of a name that is not UTF-8 become escapes that JSON can read.
    click.echo(text.encode(errors="backslashreplace").decode(), file=_for_json)


@contextmanager
def json_alone() -> Iterator[None]:
    """Redirect all output except `show_json` to standard error.

    Plugins print while they are imported and while they separate, also in worker processes, and C
    libraries bypass Python's streams.
    """
    global _for_json
    with ExitStack() as stack:
        _for_json = sys.stdout
        # Under test, standard output may have no file number.
        with suppress(OSError, ValueError, AttributeError):
            number, others = sys.stdout.fileno(), sys.stderr.fileno()
            kept = os.dup(number)
            _for_json = stack.enter_context(os.fdopen(kept, "w", encoding=sys.stdout.encoding))
            stack.callback(os.dup2, kept, number)
            os.dup2(others, number)
        stack.enter_context(redirect_stdout(sys.stderr))
        try:
            yield
        finally:
            _for_json = None


class _Description(TextColumn):
    """A description with names of songs and methods, shown verbatim."""

    def render(self, task: RichTask) -> Text:
        return Text(printable(str(task.description)))


def counting() -> Progress:
    """Return a progress bar with a count and the remaining time."""
    return _bar(MofNCompleteColumn())


def fraction() -> Progress:
    """Return a progress bar for work whose steps are only known as a finished share."""
    return _bar()


@contextmanager
def working() -> Iterator[Callable[[str], None]]:
    """Show the time, and the name of the step that runs, for work without a count."""
    with fraction() as bar:
        task = bar.add_task("", total=None)
        yield lambda step: bar.update(task, description=step)


def _bar(*more: ProgressColumn) -> Progress:
    return Progress(
        SpinnerColumn(),
        _Description("{task.description}", markup=False),
        BarColumn(),
        *more,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=messages,
        transient=True,
        disable=messages.quiet or not messages.is_terminal,
    )
