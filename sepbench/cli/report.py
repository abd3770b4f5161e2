"""``sepbench report``: tables and plots from the stored scores of runs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sepbench.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sepbench.datasets.base import Track
    from sepbench.evaluation.store import Store
    from sepbench.report.build import Report


@click.command("report", short_help="Make the tables and plots of runs from their scores.")
@click.argument("runs", type=options.PATH, metavar="RUN...", nargs=-1, required=True)
@options.protocol_option
@options.reference_option
@click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="NAME=PATH",
    help="First import scores that museval wrote for a method: a JSON file or a folder. "
    "Makes RUN if there is none.",
)
@click.option(
    "--forget-failures",
    "forgotten",
    multiple=True,
    metavar="GLOB",
    help="First remove from RUN that these methods failed on tracks; their scores stay.",
)
@click.option(
    "-m", "--method", "methods", multiple=True, metavar="GLOB", help="Only these methods."
)
@click.option(
    "--track",
    "tracks",
    multiple=True,
    metavar="GLOB",
    help="Only these tracks; with --page, the songs to listen to.",
)
@click.option("--stem", "stems", multiple=True, metavar="NAME", help="Only these stems.")
@click.option(
    "-o",
    "--out",
    type=options.PATH,
    help="Folder for tables and plots.  [default: that of the run; needed for several runs and "
    "for a choice, but not with --format]",
)
@options.page_options
@click.option("--root", type=options.PATH, help="Folder of the data set, for songs on the page.")
@options.format_option
@click.option("--metric", help="Metric of --format, such as SIR.  [default: the protocol's first]")
@options.json_option
def command(
    runs: tuple[Path, ...],
    protocol: str,
    imports: tuple[str, ...],
    forgotten: tuple[str, ...],
    page: bool,
    listen: int | None,
    root: Path | None,
    methods: tuple[str, ...],
    tracks: tuple[str, ...],
    stems: tuple[str, ...],
    format: str | None,
    metric: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Make the tables and plots of RUNs, the folders of evaluations, from their stored scores.

    \b
    sepbench report results/musdb18-test
    sepbench report results/musdb18-test --method 'unet*' --stem vocals -o chosen
    sepbench report mine --import umx=museval/umx --reference sisec18
    sepbench report results/musdb18-test --protocol nussl --format markdown

    A protocol with several scores per track, such as nussl's, has a report card: mean and standard
    deviation over tracks, overall and by stem.
    """
    from sepbench.cli.run_changes import forget_failures, opened
    from sepbench.report.choice import Choice

    stores = opened(runs, imports)
    has_page = bool(page or listen)
    # The tables of a page have all tracks.
    choice = Choice(methods, () if has_page else tracks, stems)
    is_apart = len(runs) > 1 or choice != Choice()
    _check_usage(format, metric, has_page, as_json, how["out"], is_apart=is_apart)
    forget_failures(stores, forgotten)
    # A run without scores of the default protocol still gets its tables.
    asked = click.get_current_context().get_parameter_source("protocol")
    required = asked is not ParameterSource.DEFAULT
    how |= {"others": stores[1:], "choice": choice, "required": required}
    if format is not None:
        _print(stores[0], protocol, format, metric, **how)
        return
    report = present(stores[0], protocol, as_json=as_json, **how)
    if has_page:
        from sepbench.cli.page import write_page

        found = _tracks(stores[0], root)
        write_page(stores[0], report, found, protocol=protocol, listen=listen, songs=tracks)


def _check_usage(
    format: str | None,
    metric: str | None,
    has_page: bool,
    as_json: bool,
    out: Path | None,
    *,
    is_apart: bool,
) -> None:
    """Refuse options that contradict each other.

    ``is_apart``: the tables are of a choice or of several runs, so not those of one run's folder.
    """
    if format is not None and (has_page or as_json):
        raise click.UsageError(
            "--format prints a table alone; leave --page, --listen and --json out"
        )
    if has_page and (out is not None or is_apart):
        raise click.UsageError(
            "--page is of one whole run; leave --out, --method, --stem and other RUNs out"
        )
    if out is None and format is None and is_apart:
        raise click.UsageError(
            "give --out FOLDER: tables of a choice or of several runs are apart, or --format"
        )
    if metric is not None and format is None:
        raise click.UsageError("--metric chooses the table of --format; give --format too")


def _tracks(store: Store, root: Path | None) -> Sequence[Track]:
    """Return the tracks of a run's data set, none if it is not found."""
    from sepbench.cli.console import warn
    from sepbench.errors import SepbenchError

    try:
        return store.settings.tracks(root)
    except SepbenchError as error:
        warn(f"no songs on the page: {error}")
        return []


def _print(store: Store, protocol: str, format: str, metric: str | None, **how: Any) -> None:
    """Print only the table in another format, so that it can be redirected to a file."""
    from sepbench.report import card
    from sepbench.report.formats import FORMATS
    from sepbench.report.grid import grid

    with TemporaryDirectory() as folder:
        how["out"] = how["out"] or Path(folder)
        report = _written(store, protocol=protocol, **how)
    if card.has_card(protocol) and metric is None and format in card.FORMATS:
        click.echo(card.FORMATS[format](card.card(report.scores, protocol)), nl=False)
        return
    table = grid(report.scores, report.summary, protocol, metric)
    click.echo(FORMATS[format](table), nl=False)


def _written(store: Store, **how: Any) -> Report:
    """Write the tables and plots of a run with a progress bar, and print remarks."""
    from sepbench.cli.console import counting, warn
    from sepbench.report.build import write

    with counting() as bar:
        task = bar.add_task("reading scores", total=None)
        report = write(
            store, on_file=lambda done, total: bar.update(task, completed=done, total=total), **how
        )
    for remark in report.remarks:
        warn(remark)
    return report


def _card(report: Report, protocol: str) -> Any:
    """Return the report card of a protocol with several scores per track, else None."""
    from sepbench.report import card

    return card.card(report.scores, protocol) if card.has_card(protocol) else None


def of_run(store: Store, report: Report | None = None) -> dict[str, Any]:
    """Return what ``--json`` prints of a run, or of a part without anything to do."""
    return {
        "run": str(store.folder),
        "files": [] if report is None else [str(path) for path in report.files],
        "remarks": [] if report is None else report.remarks,
        "summary": [] if report is None else report.summary.to_dict(orient="records"),
    }


def present(
    store: Store,
    protocol: str,
    references: tuple[str, ...] = (),
    *,
    as_json: bool,
    **how: Any,
) -> Report:
    """Write the tables and plots of a run next to its scores, and print the summary.

    ``how`` are further arguments of `sepbench.report.build.write`.
    """
    from sepbench._util.text import printable
    from sepbench.cli.console import say, show, show_json
    from sepbench.report import card, terminal
    from sepbench.report.lacking import lacking

    report = _written(store, protocol=protocol, references=references, **how)
    if as_json:
        found = _card(report, protocol)
        show_json(of_run(store, report) | ({} if found is None else {"card": card.plain(found)}))
        return report
    unequal = lacking(report.scores, protocol)
    incomplete = report.incomplete
    settings = [one.settings for one in (store, *how.get("others", ()))]
    for line in terminal.heading(report.summary, protocol, settings, incomplete, unequal):
        click.echo(printable(line))
    if report.summary["protocol"].eq(protocol).any():
        show(terminal.scores(report.summary, protocol, incomplete, unequal))
        click.echo()
        show(terminal.costs(report.summary, protocol, report.incomplete))
        if (found := _card(report, protocol)) is not None:
            click.echo()
            show(card.table(found))
    for line in terminal.failures(report.summary):
        click.echo(printable(line))
    for line in terminal.unseen(report.summary, protocol, store.folder):
        say(line)
    say("written: " + ", ".join(str(path) for path in report.files))
    return report
