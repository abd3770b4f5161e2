"""Options that several verbs share."""

from __future__ import annotations

import click

from sepbench.metrics.protocols import PROTOCOLS

protocol_option = click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    default="sisec18",
    show_default=True,
    help="How scores are aggregated in the table and the plot; the CSV files have all.",
)

reference_option = click.option(
    "--reference",
    "references",
    type=click.Choice(["sisec18"]),
    multiple=True,
    help="Put published scores beside, where data set, tracks and protocol are the same.",
)
