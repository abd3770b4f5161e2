"""``sepbench listen``: imports ratings of listeners, and exports larger tests."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sepbench.cli import options

if TYPE_CHECKING:
    from sepbench.report.ratings import Agreement, Opinion


@click.group("listen", short_help="Import ratings of listeners, or prepare a test.")
def command() -> None:
    """Import ratings of listeners into a run, or prepare a larger listening test.

    'sepbench report RUN --page --listen 5' makes the page on which listeners rate.
    """


@command.command("import", short_help="Add exported ratings to a run.")
@click.argument("run", type=options.PATH, metavar="RUN")
@click.argument("files", type=options.PATH, metavar="RATINGS...", nargs=-1, required=True)
@click.option("--all-listeners", is_flag=True, help="Keep those who missed the hidden reference.")
@options.json_option
def import_ratings(run: Path, files: tuple[Path, ...], all_listeners: bool, as_json: bool) -> None:
    """Add ratings to RUN: mean opinions, and how well each metric agrees with them.

    RATINGS are exported by the page of RUN (.json), or written by webMUSHRA (mushra.csv) for a test
    that 'sepbench listen export' made of RUN.
    """
    from sepbench.cli.console import say, show_json, warn
    from sepbench.evaluation.records import of_sound
    from sepbench.evaluation.store import Store
    from sepbench.report import ratings, tables

    store = Store.open(run)
    records = store.records()
    known = {(record.track, record.label) for record in records}
    made = {(*record.song, record.label): of_sound(record.identity) for record in records}
    ratings.add(files, store.folder, known, made)
    said = ratings.table(store.folder)
    tables.write_csv(said, store.folder / "ratings.csv")
    left_out = [] if all_listeners else ratings.unreliable(said)
    said = said[~said["listener"].isin(left_out)]
    if left_out and said.empty:
        warn("every listener missed the hidden reference; --all-listeners counts them all")
    found = ratings.opinions(said)
    agree = ratings.agreement(said, tables.scores(records))
    if as_json:
        show_json(
            {
                "left_out": left_out,
                "opinions": [{**asdict(one), "interval": list(one.interval)} for one in found],
                "agreement": [asdict(one) for one in agree],
            }
        )
        return
    click.echo(ratings.describe(said, left_out))
    _show(found, agree)
    say(f"written: {store.folder / 'ratings.csv'}")


@command.command("export")
@click.argument("run", type=options.PATH, metavar="RUN")
@click.option("--webmushra", is_flag=True, required=True, help="As a test for webMUSHRA.")
@click.option(
    "--songs", type=options.Whole(min=1), default=5, show_default=True, help="Most songs to use."
)
@click.option("--root", type=options.PATH, help="Folder of the data set.  [default: that of RUN]")
@click.option("-o", "--out", type=options.PATH, required=True, help="Folder to write to.")
@options.json_option
def export(
    run: Path, webmushra: bool, songs: int, root: Path | None, out: Path, as_json: bool
) -> None:
    """Write the excerpts of RUN as a test for other programs."""
    from sepbench.cli.console import counting, say, show_json, warn
    from sepbench.evaluation.store import Store
    from sepbench.report.page.webmushra import write_webmushra

    store = Store.open(run)
    tracks = store.settings.tracks(root)
    with counting() as bar:
        task = bar.add_task("excerpts", total=None)
        files = write_webmushra(
            store,
            tracks,
            out,
            songs=songs,
            on_clip=lambda name: bar.update(task, advance=1, description=name),
            on_note=warn,
        )
    if as_json:
        show_json({"out": str(out), "files": [*map(str, files)]})
        return
    say(f"written: {files[0]} and {len(files) - 1} sounds; copy {out} over webMUSHRA's folder")


def _show(found: list[Opinion], agree: list[Agreement]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sepbench._util.text import counted
    from sepbench.cli.console import show

    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("stem", "source"):
        table.add_column(heading)
    for heading in ("mean opinion", "95 %", "over"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found:
        low, high = one.interval
        span = "" if low != low else f"{low:.0f}..{high:.0f}"
        name = one.source if one.kind != "reference" else "hidden reference"
        over = counted(one.count, one.over.removesuffix("s"))
        table.add_row(escape(one.stem), escape(name), f"{one.mean:.0f}", span, over)
    show(table)
    if agree:
        _show_agreement(agree)


def _show_agreement(agree: list[Agreement]) -> None:
    from rich.table import Table

    from sepbench.cli.console import show
    from sepbench.report.ratings import FEWEST_PAIRS

    known = [pair for pair in agree if pair.spearman == pair.spearman]
    why = f"under {FEWEST_PAIRS} pairs of track and method, or all ratings or scores are the same"
    if not known:
        click.echo(f"\nNo metric is compared with listeners: {why}")
        return
    click.echo("\nHow metrics agree with listeners, over pairs of track and method")
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("stem", "protocol", "metric"):
        table.add_column(heading)
    for heading in ("Spearman", "Kendall", "Pearson", "pairs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for pair in known:
        numbers = (pair.spearman, pair.kendall, pair.pearson)
        cells = ["-" if value != value else f"{value:+.2f}" for value in numbers]
        table.add_row(pair.stem, pair.protocol, pair.metric, *cells, str(pair.pairs))
    show(table)
    if len(known) < len(agree):
        click.echo(f"left out: {why}")
