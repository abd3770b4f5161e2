"""``sepbench report``: tables and plots of a run, made again from its scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from rich.table import Table

    from sepbench.results import Settings, Store


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path), metavar="RUN")
@options.protocol_option
@options.reference_option
@click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="NAME=PATH",
    help="First take in the scores that museval wrote for a method: a JSON file or a folder.",
)
@options.json_option
def command(
    run: Path,
    protocol: str,
    references: tuple[str, ...],
    imports: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the tables and plots of RUN, the folder of an evaluation, from its stored scores."""
    from sepbench.importing import import_museval
    from sepbench.results import Store

    store = Store.open(run)
    for text in imports:
        name, equals, path = text.partition("=")
        if not equals:
            raise click.UsageError(f"--import {text}: write it as NAME=PATH")
        import_museval(Path(path), store, name=name)
    present(store, protocol, references, as_json=as_json)


def present(store: Store, protocol: str, references: tuple[str, ...], *, as_json: bool) -> None:
    """Write the tables and plots of a run beside its scores, and print the summary."""
    from sepbench.cli.console import say, show, show_json, warn
    from sepbench.report.run import write

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
    show(_table(report.summary, protocol, store.settings))
    for line in _failures(report.summary):
        click.echo(line)
    say("written: " + ", ".join(str(path) for path in report.files))


def _table(summary: pd.DataFrame, protocol: str, settings: Settings) -> Table:
    """Lay out one metric of one protocol: a row a method, a column a stem, best vocals first."""
    from rich.table import Table

    from sepbench.metrics.protocols import PROTOCOLS
    from sepbench.stems import STEMS

    chosen = PROTOCOLS[protocol]
    metric = chosen.metrics[0].rpartition(" ")[2]
    rows = summary[
        (summary["protocol"] == protocol)
        & (summary["metric"] == metric)
        & (summary["statistic"] == chosen.over_tracks[0])
    ]
    stems = [stem for stem in STEMS if rows["stem"].eq(stem).any()]
    table = Table(
        title=f"{metric} in {chosen.unit}, protocol {protocol}; data set {settings.dataset}",
        caption=chosen.caption + _legend(rows),
        box=None,
    )
    table.add_column("method")
    for stem in stems:
        table.add_column(stem, justify="right")
    for heading in ("windows", "times real time", "memory", "tracks"):
        table.add_column(heading, justify="right")
    for label, group in _best_first(rows, stems):
        values = group.set_index("stem")["value"]
        scores = [f"{values[stem]:.2f}" if stem in values else "" for stem in stems]
        table.add_row(_marked(label, group), *scores, *_cost(group))
    return table


def _legend(rows: pd.DataFrame) -> str:
    return "\n† trained on songs of this very set" if rows["trained_on_this"].eq(True).any() else ""


def _failures(summary: pd.DataFrame) -> Iterator[str]:
    for _, row in summary[summary["failed"] > 0].drop_duplicates("label").iterrows():
        tracks = "1 track" if row["failed"] == 1 else f"{row['failed']} tracks"
        yield f"{row['label']} failed on {tracks}: {row['error']}"


def _best_first(rows: pd.DataFrame, stems: list[str]) -> list[tuple[str, pd.DataFrame]]:
    if not stems:
        return []
    groups = [(str(label), group) for label, group in rows.groupby("label", sort=False)]

    def rank(item: tuple[str, pd.DataFrame]) -> tuple[float, ...]:
        values = item[1].set_index("stem")["value"]
        return tuple(-float(values[stem]) if stem in values else float("inf") for stem in stems)

    return sorted(groups, key=rank)


def _marked(label: str, group: pd.DataFrame) -> str:
    from rich.markup import escape

    first = group.iloc[0]
    remark = " (oracle)" if first["oracle"] else ""
    return escape(label) + remark + (" †" if first["trained_on_this"] else "")


def _cost(group: pd.DataFrame) -> list[Any]:
    first = group.iloc[0]
    speed, used = first["seconds_per_second"], group["frames_used"].min()
    return [
        "" if used != used else f"{used:.0%}",
        "" if not speed > 0 else f"{1 / speed:.3g}",
        "" if speed != speed else f"{first['peak_memory_mb']:.0f} MB",
        str(group["tracks"].max()),
    ]
