"""``sepbench evaluate``: methods on tracks, scored, with tables and plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sepbench.cli import config, options
from sepbench.cli.completion import complete_dataset
from sepbench.cli.track_selection import TrackChoice, track_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sepbench.evaluation.run import RunConfig
    from sepbench.registry import Method, PluginInfo

_SUMMED_UP = 3
"""From this number on, methods that lack something are only named."""


@click.command("evaluate", short_help="Run methods on the tracks of a data set, and score them.")
@click.option(
    "-c",
    "--config",
    expose_value=False,
    is_eager=True,
    callback=config.read,
    metavar="FILE",
    help="YAML file with options as keys, or the name of an included one; the command line wins.",
)
@click.option("--all", "all_methods", is_flag=True, help="Every installed method.")
@options.method_option
@click.option(
    "--dataset",
    default="excerpt",
    show_default=True,
    type=options.NAME,
    metavar="NAME|DIR",
    shell_complete=complete_dataset,
    help="A data set, see 'sepbench data', or a folder with one folder per song.",
)
@track_options
@options.metric_option
@options.targets_option
@options.protocol_option
@options.reference_option
@options.out_option
@options.device_option
@click.option(
    "--devices",
    metavar="DEVICE,...",
    help="Several devices of one kind, such as cuda:0,cuda:1; each works on a track of its own.",
)
@click.option("--jobs", type=options.Whole(min=1), default=1, help="Tracks at the same time.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on the workers of a Dask scheduler, such as tcp://host:8786 (docs/cluster.md).",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Run the I-th of N parts of the cells and nothing else, for job arrays.",
)
@click.option(
    "--timeout",
    type=options.SECONDS,
    metavar="SECONDS",
    help="Give up on a method that takes longer on a track. Apart from that, or as long if it is "
    "longer, it may load for ten minutes and take one for its first second of audio, and reading "
    "or scoring a track may take an hour. Not with --no-isolate.",
)
@click.option(
    "--save-stems",
    is_flag=True,
    help="Keep the separated audio in the run's folder; workers of a scheduler must share it.",
)
@click.option(
    "--isolate/--no-isolate",
    default=True,
    show_default=True,
    help="Run separators in separate processes, so that a crash costs one row; --timeout "
    "needs that.",
)
@options.page_options
@options.json_option
def command(
    all_methods: bool,
    specs: tuple[str, ...],
    dataset: str,
    choice: TrackChoice,
    protocol: str,
    references: tuple[str, ...],
    out: Path | None,
    page: bool,
    listen: int | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Run methods on the tracks of a data set and score their stems.

    \b
    sepbench evaluate --all
    sepbench evaluate -m hpss -m repet-sim --dataset musdb18-hq --root ~/musdb18hq
    sepbench evaluate -m unet -m oracle-irm --dataset ~/my-songs

    Writes the scores of every track, scores.csv, summary.csv and boxplots to the run's folder. If
    it is stopped, the same command resumes.
    """
    from sepbench.cli.console import say, show_json, warn
    from sepbench.cli.page import write_page
    from sepbench.cli.report import of_run, present
    from sepbench.cli.run_cells import run_cells
    from sepbench.evaluation.shards import shard

    how["metrics"] = options.chosen_metrics(how["metrics"])
    methods, unavailable, broken = _methods(*_command_line_first(all_methods, specs))
    _tell(unavailable, broken=broken)
    selection = choice.select(dataset)
    tracks = selection.tracks
    scheduler = how.pop("scheduler")
    # With every song on the page, no song has to be separated twice.
    how["save_stems"] |= listen is not None and listen >= len(tracks) and not scheduler
    plan = _plan(**how)
    store = selection.open_run(out, warn)
    if not any(chosen for _, chosen in shard(tracks, methods, plan.shard)):
        say(f"part {how['shard']} has nothing to do: there are fewer cells than parts")
        if as_json:
            show_json(of_run(store))
        return
    failures = run_cells(selection, methods, store, plan, scheduler)
    report = present(store, protocol, references, as_json=as_json)
    if page or listen:
        write_page(store, report, tracks, protocol=protocol, listen=listen, plan=plan)
    if failures or broken:
        click.get_current_context().exit(1)


def _tell(unavailable: Sequence[str], *, broken: bool) -> None:
    from sepbench.cli.console import fail, say

    for line in unavailable:
        (fail if broken else say)(line)


def _command_line_first(all_methods: bool, specs: Sequence[str]) -> tuple[bool, Sequence[str]]:
    """Return ``--all`` and the methods; if both are given, only that of the command line.

    One of them may come from the file of ``--config``.
    """
    if not (all_methods and specs):
        return all_methods, specs
    source = click.get_current_context().get_parameter_source
    typed = {name: source(name) is ParameterSource.COMMANDLINE for name in ("all_methods", "specs")}
    return typed["all_methods"], specs if typed["specs"] else ()


def _plan(*, device: str, devices: str | None, shard: str | None, **how: Any) -> RunConfig:
    """Return the settings of the run, after a check of devices and shard."""
    from sepbench.evaluation.run import RunConfig
    from sepbench.evaluation.shards import read_shard

    chosen = options.chosen_devices(devices, device)
    return RunConfig(
        **how,
        device=chosen[0],
        devices=chosen if len(chosen) > 1 else (),
        shard=None if shard is None else read_shard(shard),
    )


def _methods(all_methods: bool, specs: Sequence[str]) -> tuple[list[Method], list[str], bool]:
    """Return the methods to run, those that cannot be used and why, and whether any is broken."""
    from sepbench import registry

    if all_methods == bool(specs):
        raise click.UsageError("choose the methods: either --all or -m METHOD")
    if specs:
        methods = registry.resolve_all(specs)
        faults = registry.why_unusable(methods)
        if len(faults) == len(methods):
            raise next(iter(faults.values()))  # Before anything is written.
        _fetch_weights([method for method in methods if method.label not in faults])
        return methods, [], False
    entries = registry.plugins()
    usable = [entry.name for entry in entries if entry.reason is None]
    missing = [entry for entry in entries if entry.reason is not None]
    return registry.resolve_all(usable), _left_out(missing), any(e.broken for e in missing)


def _left_out(missing: Sequence[PluginInfo]) -> list[str]:
    """Report unusable methods: broken ones one by one, others in one line."""
    from sepbench.cli.console import is_detailed

    lines = [f"{entry.name} is left out: {entry.reason}" for entry in missing]
    lacking = [entry.name for entry in missing if not entry.broken]
    if len(lacking) < _SUMMED_UP or is_detailed():
        return lines
    broken = [line for line, entry in zip(lines, missing, strict=True) if entry.broken]
    names = ", ".join(lacking)
    return [
        *broken,
        f"left out, not usable yet: {names} ('sepbench methods -v' shows what they need)",
    ]


def _fetch_weights(methods: Sequence[Method]) -> None:
    """Fetch the weights of named methods; a failed download fails the method's cells later."""
    from sepbench.cli.console import fail
    from sepbench.cli.weights import fetch_missing
    from sepbench.errors import SepbenchError

    for method in methods:
        try:
            fetch_missing(method)
        except SepbenchError as error:
            fail(str(error))
