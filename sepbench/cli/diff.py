"""``sepbench diff``: what changed between two runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sepbench.cli import options

if TYPE_CHECKING:
    from sepbench.report.diff import Diff

_LONGEST = 40


@click.command("diff", short_help="Show what changed from one run to another.")
@click.argument("old", type=options.PATH, metavar="OLD")
@click.argument("new", type=options.PATH, metavar="NEW")
@click.option("--metric", help="Such as SDR or SIR.  [default: the protocol's first]")
@options.protocol_option
@options.json_option
def command(old: Path, new: Path, metric: str | None, protocol: str, as_json: bool) -> None:
    """Show what changed from the run OLD to the run NEW: weights, versions, options, and scores."""
    from sepbench.cli.console import show_json, warn, working

    with working() as on_step:
        on_step("reading scores")
        from sepbench.report.diff import diff
        from sepbench.report.merge import contents

        (_, before, said), (_, after, more) = contents(old), contents(new)
        for remark in (*said, *more):
            warn(remark)
        on_step("comparing")
        found = diff(before, after, protocol=protocol, metric=metric)
    if as_json:
        show_json(asdict(found))
        return
    _show(found, old, new)


def _show(found: Diff, old: Path, new: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sepbench._util.text import counted
    from sepbench.cli.console import show

    for run, labels in ((old, found.only_old), (new, found.only_new)):
        if labels:
            click.echo(f"only in {run}: {', '.join(labels)}")
    if not found.common_tracks:
        click.echo("the runs have no track in common, so there is nothing to compare")
    elif not found.changes:
        click.echo("nothing that affects scores has changed")
    for change in found.changes:
        values = f"{_short(change.old)} -> {_short(change.new)}"
        click.echo(f"{change.label}: {change.fact}: {values} ({counted(change.tracks, 'track')})")
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("method")
    table.add_column("stem")
    for heading in ("tracks", "old", "new", "difference", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    changed = [row for row in found.scores if row.changed]
    for row in changed:
        low, high = row.interval
        span = "" if low != low else f"{low:+.2f}..{high:+.2f}"
        numbers = (str(row.tracks), f"{row.old:.2f}", f"{row.new:.2f}", f"{row.value:+.2f}", span)
        table.add_row(escape(row.label), escape(row.stem), *numbers)
    if changed:
        show(table)
    if same := len(found.scores) - len(changed):
        click.echo(f"unchanged: the scores of {same} methods and stems")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
