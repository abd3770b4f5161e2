"""``sepbench report``: tables and plots of a run, made again from its scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sepbench.cli import options

if TYPE_CHECKING:
    from sepbench.evaluation.store import Store


@click.command("report")
@click.argument("run", type=options.PATH, metavar="RUN")
@options.protocol_option
@options.reference_option
@click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="NAME=PATH",
    help="First take in the scores that museval wrote for a method: a JSON file or a folder.",
)
@options.format_option
@click.option("--metric", help="Of --format, such as SIR.  [default: the protocol's first]")
@options.json_option
def command(
    run: Path,
    protocol: str,
    references: tuple[str, ...],
    imports: tuple[str, ...],
    format: str | None,
    metric: str | None,
    as_json: bool,
) -> None:
    """Make the tables and plots of RUN, the folder of an evaluation, from its stored scores."""
    from sepbench.evaluation.museval_json import import_museval
    from sepbench.evaluation.store import Store

    store = Store.open(run)
    for text in imports:
        name, _, path = text.partition("=")
        if not (name.strip() and path.strip()):
            raise click.UsageError(f"--import {text}: write it as NAME=PATH")
        import_museval(Path(path), store, name=name)
    if format is not None:
        _print(store, protocol, references, format, metric)
        return
    present(store, protocol, references, as_json=as_json)


def _print(
    store: Store, protocol: str, references: tuple[str, ...], format: str, metric: str | None
) -> None:
    """Print the table in another format, and nothing else, so that it can go into a file."""
    from sepbench.cli.console import warn
    from sepbench.report.build import write
    from sepbench.report.formats import FORMATS, grid

    report = write(store, protocol=protocol, references=references)
    for remark in report.remarks:
        warn(remark)
    table = grid(report.scores, report.summary, protocol, metric)
    click.echo(FORMATS[format](table), nl=False)


def present(store: Store, protocol: str, references: tuple[str, ...], *, as_json: bool) -> None:
    """Write the tables and plots of a run beside its scores, and print the summary."""
    from sepbench.cli.console import say, show, show_json, warn
    from sepbench.report import terminal
    from sepbench.report.build import write

    report = write(store, protocol=protocol, references=references)
    for remark in report.remarks:
        warn(remark)
    if as_json:
        show_json(
            {
                "run": str(store.folder),
                "files": [str(path) for path in report.files],
                "remarks": report.remarks,
                "summary": report.summary.to_dict(orient="records"),
            }
        )
        return
    for line in terminal.heading(report.summary, protocol, store.settings):
        click.echo(line)
    if report.summary["protocol"].eq(protocol).any():
        show(terminal.scores(report.summary, protocol))
        click.echo()
        show(terminal.costs(report.summary, protocol))
    for line in terminal.failures(report.summary):
        click.echo(line)
    say("written: " + ", ".join(str(path) for path in report.files))
