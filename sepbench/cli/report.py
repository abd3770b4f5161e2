"""``sepbench report``: tables and plots of a run, made again from its scores."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sepbench.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sepbench.datasets.base import Track
    from sepbench.evaluation.run import RunConfig
    from sepbench.evaluation.store import Store
    from sepbench.report.build import Report


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
@options.page_options
@click.option("--root", type=options.PATH, help="Where the data set lies, for songs on the page.")
@options.format_option
@click.option("--metric", help="Of --format, such as SIR.  [default: the protocol's first]")
@options.json_option
def command(
    run: Path,
    protocol: str,
    references: tuple[str, ...],
    imports: tuple[str, ...],
    page: bool,
    listen: int | None,
    root: Path | None,
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
    report = present(store, protocol, references, as_json=as_json)
    if page or listen:
        write_page(store, report, _tracks(store, root), protocol=protocol, listen=listen)


def _tracks(store: Store, root: Path | None) -> Sequence[Track]:
    """Return the tracks of a run's data set, none where it is not here."""
    from sepbench.cli.console import warn
    from sepbench.datasets import open_dataset
    from sepbench.errors import SepbenchError

    settings = store.settings
    try:
        return open_dataset(settings.dataset, root).tracks(settings.subset)
    except SepbenchError as error:
        warn(f"no songs on the page: {error}")
        return []


def write_page(
    store: Store,
    report: Report,
    tracks: Sequence[Track],
    *,
    protocol: str,
    listen: int | None,
    plan: RunConfig | None = None,
) -> None:
    """Write the page of a run with a progress bar, and say where it is."""
    from sepbench.cli.console import counting, say, warn
    from sepbench.report.page.make import make_page

    command = shlex.join(["sepbench", *sys.argv[1:]])
    with counting() as bar:
        task = bar.add_task("page", total=None)
        page = make_page(
            store,
            report,
            protocol=protocol,
            tracks=tracks,
            listen=listen,
            plan=plan,
            command=command,
            on_step=lambda what: bar.update(task, advance=1, description=f"page: {what}"),
        )
    for remark in page.remarks:
        warn(remark)
    say(f"written: {page.path} ({page.size / 1e6:.1f} MB without its sounds); open it in a browser")


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


def present(store: Store, protocol: str, references: tuple[str, ...], *, as_json: bool) -> Report:
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
        return report
    for line in terminal.heading(report.summary, protocol, store.settings):
        click.echo(line)
    if report.summary["protocol"].eq(protocol).any():
        show(terminal.scores(report.summary, protocol))
        click.echo()
        show(terminal.costs(report.summary, protocol))
    for line in terminal.failures(report.summary):
        click.echo(line)
    say("written: " + ", ".join(str(path) for path in report.files))
    return report
