"""Writes the page of a run for the commands that have ``--page``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sepbench.datasets.base import Track
    from sepbench.evaluation.run import RunConfig
    from sepbench.evaluation.store import Store
    from sepbench.report.build import Report


def write_page(
    store: Store,
    report: Report,
    tracks: Sequence[Track],
    *,
    protocol: str,
    listen: int | None,
    songs: Sequence[str] = (),
    plan: RunConfig | None = None,
) -> None:
    """Write the page of a run with a progress bar, and print its path.

    ``songs`` are globs of the songs to listen to.
    """
    from sepbench.cli.console import counting, say, warn
    from sepbench.evaluation.run import RunConfig
    from sepbench.inference.runner import choose_device
    from sepbench.report.page.make import make_page

    if plan is None and listen:
        plan = RunConfig(device=str(choose_device("auto")))
    command = shlex.join(["sepbench", *sys.argv[1:]])
    with counting() as bar:
        task = bar.add_task("page", total=None)
        page = make_page(
            store,
            report,
            protocol=protocol,
            tracks=tracks,
            listen=listen,
            songs=songs,
            plan=plan,
            command=command,
            on_step=lambda what: bar.update(task, advance=1, description=f"page: {what}"),
        )
    for remark in page.remarks:
        warn(remark)
    say(f"written: {page.path} ({page.size / 1e6:.1f} MB without its sounds); open it in a browser")
