"""``sepbench data``: which data sets there are, what each needs, where it was found."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("data")
@click.argument("name", required=False)
@click.option("--root", type=click.Path(path_type=Path), help="Look for the data set here.")
@click.option("--download", is_flag=True, help="Fetch the data set, where that is allowed.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def command(name: str | None, root: Path | None, download: bool, as_json: bool) -> None:
    """List the data sets, or say all about one of them.

    \b
    sepbench data
    sepbench data musdb18-hq --root ~/musdb18hq
    sepbench data musdb18-7s --download
    """
