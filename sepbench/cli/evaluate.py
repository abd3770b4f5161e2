"""``sepbench evaluate``: methods on tracks, scored, with tables and plots."""

from __future__ import annotations

from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from sepbench.cli import config, options
from sepbench.cli.completion import complete_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sepbench.datasets.base import Track
    from sepbench.evaluation.records import Record
    from sepbench.evaluation.remote import Source
    from sepbench.evaluation.run import Done, RunConfig
    from sepbench.evaluation.store import Store
    from sepbench.registry import Method, PluginInfo

_MOST_NOTES = 5


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
@options.track_options
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
@click.option("--jobs", type=click.IntRange(min=1), default=1, help="Tracks at the same time.")
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
    root: Path | None,
    subset: str,
    patterns: tuple[str, ...],
    start: float,
    duration: float | None,
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
    from sepbench.cli.console import fail, say, show_json, warn
    from sepbench.cli.report import of_run, present, write_page
    from sepbench.datasets import open_dataset
    from sepbench.datasets.selection import select
    from sepbench.evaluation.remote import Source
    from sepbench.evaluation.renamed import forget_renamed
    from sepbench.evaluation.run import RunConfig
    from sepbench.evaluation.shards import read_shard, shard
    from sepbench.evaluation.store import Settings, Store

    how["metrics"] = options.chosen_metrics(how["metrics"])
    typed = click.get_current_context().get_parameter_source
    if all_methods and specs:  # One of them may be the config's; the command line wins.
        all_methods = typed("all_methods") is ParameterSource.COMMANDLINE
        specs = specs if typed("specs") is ParameterSource.COMMANDLINE else ()
    methods, unavailable, broken = _methods(all_methods, specs)
    for line in unavailable:
        (fail if broken else say)(line)
    dataset, root, subset = options.named_or_folder(dataset, root, subset)
    data = open_dataset(dataset, root)
    tracks = select(data, subset, patterns)
    devices = options.chosen_devices(how.pop("devices"), how["device"])
    part, scheduler = how.pop("shard"), how.pop("scheduler")
    # With every song on the page, no song has to be separated twice.
    how["save_stems"] |= listen is not None and listen >= len(tracks) and not scheduler
    plan = RunConfig(
        **{**how, "device": devices[0]},
        devices=devices if len(devices) > 1 else (),
        shard=None if part is None else read_shard(part),
    )
    settings = Settings.of(dataset, root, subset, start, duration)
    store = Store.create(out or Path("results") / settings.default_name, settings)
    for line in forget_renamed(store, data.tracks(subset)):
        warn(line)
    if not any(chosen for _, chosen in shard(tracks, methods, plan.shard)):
        say(f"part {part} has nothing to do: there are fewer cells than parts")
        if as_json:
            show_json(of_run(store))
        return
    kept = str(store.folder.absolute()) if plan.save_stems else None
    there = None if root is None else str(root.absolute())
    source = None if scheduler is None else Source(dataset, there, start, duration, kept)
    failures = _run(tracks, methods, store, plan, scheduler, source)
    report = present(store, protocol, references, as_json=as_json)
    if page or listen:
        write_page(store, report, tracks, protocol=protocol, listen=listen, plan=plan)
    if failures or broken:
        click.get_current_context().exit(1)


_SUMMED_UP = 3
"""From this number on, methods that lack something are only named."""


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
        _bring([method for method in methods if method.label not in faults])
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


def _bring(methods: Sequence[Method]) -> None:
    """Fetch the weights of named methods; a failed download fails the method's cells later."""
    from sepbench.cli.console import fail
    from sepbench.cli.weights import bring
    from sepbench.errors import SepbenchError

    for method in methods:
        try:
            bring(method)
        except SepbenchError as error:
            fail(str(error))


def _run(
    tracks: Sequence[Track],
    methods: Sequence[Method],
    store: Store,
    plan: RunConfig,
    scheduler: str | None,
    source: Source | None,
) -> int:
    """Run all cells, here or on a cluster, with a progress bar; return the number of failures."""
    from sepbench.cli.console import counting, fail, say, warn
    from sepbench.evaluation import run
    from sepbench.evaluation.cluster import Cluster
    from sepbench.evaluation.shards import shard

    cluster: Cluster | None = None
    kept = failed = finished = 0
    notes: dict[str, dict[str, None]] = {}
    told: set[tuple[str, str]] = set()
    cells = sum(len(chosen) for _, chosen in shard(tracks, methods, plan.shard))
    with counting() as bar:
        task = bar.add_task("starting", total=cells)

        def on_done(done: Done) -> None:
            nonlocal kept, failed, finished
            kept += done.kept
            failed += done.record.error is not None
            finished += 1
            for note in done.record.notes:
                notes.setdefault(note, {})[done.record.track] = None
            what = f"{done.record.label}  {done.record.track}"
            if cluster is not None:
                what = f"{cluster.workers} workers  {what}"
            bar.update(task, advance=1, description=what)
            if done.record.error is not None and _is_new(done.record, told):
                fail(f"{done.record.label} on {done.record.track}: {done.record.error}")

        try:
            if scheduler is None or source is None:
                run.run(tracks, methods, store, plan, on_done=on_done)
            else:
                cluster = Cluster(
                    scheduler, source, timeout=plan.timeout, isolate=plan.isolate, on_worker=say
                )
                say(f"dashboard: {cluster.dashboard}")
                run.run_on_cluster(cluster, tracks, methods, store, plan, on_done=on_done)
        except CancelledError:
            raise KeyboardInterrupt from None
    if kept:
        say(f"{kept} of {finished} scores were already there")
    for line in _notes(notes):
        warn(line)
    return failed


def _is_new(record: Record, told: set[tuple[str, str]]) -> bool:
    """Return whether an error was not told of its method or, if it is the track's, of that."""
    error = record.error or ""
    reasons = {(record.label, error)}  # The tables say on how many tracks it failed.
    if record.track in error:  # An unreadable track fails every method.
        reasons.add((record.track, error))
    is_new = told.isdisjoint(reasons)
    told.update(reasons)
    return is_new


def _notes(tracks: dict[str, dict[str, None]]) -> Iterator[str]:
    """Print each note on tracks once."""
    for note, names in list(tracks.items())[:_MOST_NOTES]:
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        yield f"{next(iter(names))}{more}: {note}"
    if len(tracks) > _MOST_NOTES:
        yield f"{len(tracks) - _MOST_NOTES} more notes on tracks are stored with the scores"
