"""``sepbench plugin``: writes a new plugin, and checks plugins."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sepbench.cli import options
from sepbench.cli.completion import complete_method
from sepbench.registry.scaffold import KINDS, LICENSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sepbench.testing.check import Outcome
    from sepbench.testing.examination import Kind


@click.group("plugin")
def command() -> None:
    """Write a new plugin, and check it against the contract."""


@command.command("new", short_help="Write a working plugin, ready to be installed.")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="dsp",
    show_default=True,
    help="A separator in one module, one with a trainable network, a program, a network in "
    "ONNX, a data set, or a metric.",
)
@click.option("-o", "--out", type=options.PATH, help="Folder to make.  [default: ./NAME]")
@click.option(
    "--license",
    type=click.Choice(LICENSES),
    default="MIT",
    show_default=True,
    help="License of the code.",
)
@click.option("--author", default="", metavar="NAME", help="Holder of the copyright.")
@options.json_option
def new(name: str, kind: str, out: Path | None, license: str, author: str, as_json: bool) -> None:
    """Write a working plugin: a package with its test, ready to be installed.

    \b
    sepbench plugin new centre-cut
    pip install -e ./centre-cut
    sepbench evaluate -m centre-cut
    sepbench plugin new crest-error --kind metric
    """
    from sepbench.cli.console import say, show_json
    from sepbench.registry.scaffold import create

    folder = out or Path(name)
    files = [*map(str, create(name, folder, kind=kind, license=license, authors=author))]
    if as_json:
        show_json({"name": name, "kind": kind, "folder": str(folder), "files": files})
        return
    for path in files:
        click.echo(path)
    where = folder if folder.is_absolute() else f"./{folder}"
    say(f"next: pip install -e {where} && sepbench plugin check {name}")


@command.command("check", short_help="Check a separator, a data set or a metric.")
@click.argument("method", metavar="NAME|MODULE:CLASS", shell_complete=complete_method)
@options.device_option
@click.option(
    "--timeout",
    type=options.SECONDS,
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up on a check that takes longer.",
)
@click.option(
    "--seconds",
    type=options.SECONDS,
    default=60.0,
    show_default=True,
    help="Length of the longest song that is tried, in seconds.",
)
@click.option("--root", type=options.PATH, help="Folder of the data set to check.")
@click.option(
    "--kind",
    type=click.Choice(["separator", "metric"]),
    default="separator",
    show_default=True,
    help="Kind of MODULE:CLASS; not needed for a registered name.",
)
@options.json_option
def check(
    method: str,
    device: str,
    timeout: float,
    seconds: float,
    root: Path | None,
    kind: Kind,
    as_json: bool,
) -> None:
    """Check a separator, a data set or a metric: what was expected, what was found, how to fix it.

    \b
    sepbench plugin check hpss
    sepbench plugin check 'hpss[margin=2]'
    sepbench plugin check my_module:MySeparator
    sepbench plugin check my-songs --root ~/songs
    sepbench plugin check fullness

    It runs in a separate process, so that a crash or a hang is a failed check. The exit status is 1
    if any check fails.
    """
    from sepbench._util.process import Call, WorkerProcess
    from sepbench.inference.runner import choose_device
    from sepbench.testing.check import NOT_SEEN
    from sepbench.testing.examination import find, in_worker, run_check

    sys.path.insert(0, os.getcwd())  # Find MODULE as python -m does.
    where = str(choose_device(device))
    target = find(method, device=where, seconds=seconds, root=root, kind=kind)
    worker = WorkerProcess(Call(run_check), timeout=timeout)
    outcomes = []
    try:
        for outcome in in_worker(target, worker):
            outcomes.append(outcome)
            if not as_json and outcome.status != NOT_SEEN:
                click.echo(outcome.line())
    finally:
        worker.stop()
    if _show(method, outcomes, as_json=as_json):
        click.get_current_context().exit(1)


def _show(method: str, outcomes: Sequence[Outcome], *, as_json: bool) -> int:
    """Print a summary of the checks, or all of them as JSON; return how many failed."""
    from sepbench.cli.console import show_json
    from sepbench.testing.check import FAILED, NOT_SEEN, PASSED

    failed = [outcome.check for outcome in outcomes if outcome.status == FAILED]
    passed = sum(outcome.status == PASSED for outcome in outcomes)
    unseen = [outcome for outcome in outcomes if outcome.status == NOT_SEEN]
    if as_json:
        checks = [outcome.as_dict() for outcome in outcomes]
        show_json({"method": method, "passed": passed, "failed": failed, "checks": checks})
    else:
        verdict = f"fails {len(failed)}: {', '.join(failed)}" if failed else "fails none"
        rest = f"; {len(unseen)} were not run {unseen[0].got}" if unseen else ""
        click.echo(f"{method} passes {passed} checks and {verdict}{rest}")
    return len(failed)
