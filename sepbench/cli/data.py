"""``sepbench data``: lists data sets, what each needs, and where it was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sepbench.cli import options
from sepbench.cli.completion import complete_dataset


@click.command("data")
@click.argument("name", required=False, shell_complete=complete_dataset)
@click.option("--root", type=options.PATH, help="Look for the data set here.")
@click.option("--download", is_flag=True, help="Fetch the data set, if its license allows.")
@options.json_option
def command(name: str | None, root: Path | None, download: bool, as_json: bool) -> None:
    """List the data sets, or describe one of them.

    \b
    sepbench data
    sepbench data musdb18-hq --root ~/musdb18hq
    sepbench data musdb18-7s --download
    """
    from sepbench.cli.console import show_json
    from sepbench.datasets import describe, listing, open_dataset
    from sepbench.datasets.selection import tracks_of

    if name is None:
        if root is not None or download:
            raise click.UsageError("--root and --download are for one data set; give its NAME")
        listed = listing()
        if as_json:
            show_json(listed)
        else:
            _show_all(listed)
        return
    if download:
        _download(name, root)
    dataset = open_dataset(name, root)
    facts = describe(dataset)
    tracks = tracks_of(dataset, "all") if facts["available"] else []
    facts["tracks"] = [{"name": track.name, "subset": track.subset} for track in tracks]
    if as_json:
        show_json(facts)
    else:
        _show_one(facts)


def _download(name: str, root: Path | None) -> None:
    from sepbench.cli.console import fraction
    from sepbench.datasets import open_dataset

    dataset = open_dataset(name, root)
    with fraction() as bar:
        task = bar.add_task(f"fetching {name}", total=None)
        dataset.download(
            on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


def _show_all(listed: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sepbench.cli.console import show

    table = Table("data set", "here", "what", "license", box=None)
    for facts in listed:
        name = facts["name"]
        if facts["reason"] is not None:
            cells = (name, "no", f"not available: {facts['reason']}", "")
        else:
            here = "yes" if facts["available"] else "no"
            cells = (name, here, facts["summary"], facts["license"])
        table.add_row(*map(escape, cells))  # a plugin's text may have brackets
    show(table)


def _show_one(facts: dict[str, Any]) -> None:
    lines = {
        "": facts["summary"],
        "license": facts["license"],
        "get it": facts["how_to_get"],
        "found": facts["root"] or ("built in" if facts["available"] else "no"),
        "looked": ", ".join(facts["searched"]),
    }
    click.echo(facts["name"])
    for key, value in lines.items():
        if value:
            click.echo(f"  {key + ':':10}{value}" if key else f"  {value}")
    for track in facts["tracks"]:
        click.echo(f"  {track['subset']:10}{track['name']}")
