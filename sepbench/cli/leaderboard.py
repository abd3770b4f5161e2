"""``sepbench leaderboard``: the runs of several people in one table."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sepbench.cli import options


@click.command("leaderboard", short_help="Merge runs of several people into one table.")
@click.argument("runs", type=options.PATH, metavar="RUN...", nargs=-1, required=True)
@click.option("--metric", help="Such as SDR or SIR.  [default: the protocol's first]")
@options.protocol_option
@options.format_option
@click.option("-o", "--out", type=options.PATH, help="Write to this file.  [default: print]")
@options.json_option
def command(
    runs: tuple[Path, ...],
    metric: str | None,
    protocol: str,
    format: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Merge runs of several people into one table with the provenance of every row.

    Scores are over the tracks that all runs share. Runs without a common track of the same audio
    are refused.
    """
    from sepbench._util.files import write_atomic
    from sepbench.cli.console import say, show_json, warn, working

    if as_json and format not in (None, "json"):
        raise click.UsageError("give --json or --format, not both")
    with working() as on_step:
        on_step("merging scores")
        from sepbench.report import leaderboard
        from sepbench.report.formats import FORMATS

        board = leaderboard.leaderboard(runs, protocol=protocol, metric=metric)
    for remark in board.remarks:
        warn(remark)
    text = FORMATS["json" if as_json else format or "markdown"](board.grid)
    if out is None and as_json:
        show_json(json.loads(text))
    elif out is None:
        click.echo(text, nl=False)
    else:
        write_atomic(out, text)
        say(f"written: {out}")
