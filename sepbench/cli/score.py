"""``sepbench score``: scores stems made by other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench.cli import options
from sepbench.cli.completion import complete_dataset
from sepbench.cli.track_selection import TrackChoice, track_options

if TYPE_CHECKING:
    from sepbench.evaluation.estimate_files import Estimates
    from sepbench.evaluation.records import Record
    from sepbench.evaluation.selection import Selection
    from sepbench.evaluation.store import Store


@click.command("score")
@click.argument("estimates", type=options.PATH, metavar="ESTIMATES_DIR")
@click.option(
    "--references",
    "dataset",
    required=True,
    type=options.NAME,
    metavar="DATASET|DIR",
    shell_complete=complete_dataset,
    help="The true stems: the name of a data set, or a folder with one folder per song.",
)
@click.option("--name", type=options.NAME, help="Name of the method.  [default: the folder's name]")
@track_options
@options.metric_option
@options.targets_option
@click.option(
    "--align",
    is_flag=True,
    help="Remove a constant delay of the estimates, such as that of a codec.",
)
@options.protocol_option
@options.reference_option
@options.out_option
@options.device_option
@options.json_option
def command(
    estimates: Path,
    dataset: str,
    name: str | None,
    choice: TrackChoice,
    protocol: str,
    references: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Score the stems in ESTIMATES_DIR, made by any program.

    \b
    sepbench score separated/hpss --references excerpt
    sepbench score umx_estimates --references musdb18-hq --root ~/musdb18hq --name umx

    Stems are named as museval and musdb write them (test/<track>/vocals.wav), <track>/vocals.wav,
    <track>_vocals.wav, or, for a single track, vocals.wav. Other rates are resampled, up to 1024
    samples are padded or cut, mono is copied to both channels; each is reported.
    """
    from sepbench.cli.console import warn
    from sepbench.cli.report import present
    from sepbench.inference.runner import choose_device

    how["metrics"] = options.chosen_metrics(how["metrics"])
    selection = choice.select(dataset)
    found = _find(estimates, selection)
    how["device"] = str(choose_device(how["device"]))
    store = selection.open_run(out, warn)
    name = name or estimates.resolve().name
    failures = _score(found, store, name=name, folder=estimates, **how)
    present(store, protocol, references, as_json=as_json)
    if failures:
        click.get_current_context().exit(1)


def _score(found: list[Estimates], store: Store, **how: Any) -> int:
    """Score estimates with a progress bar; return the number of tracks that failed."""
    from sepbench.cli.console import counting, fail, warn
    from sepbench.evaluation import estimates
    from sepbench.evaluation.unmatched import without_reference

    with counting() as bar:
        task = bar.add_task("scoring", total=len(found))

        def on_done(record: Record) -> None:
            bar.update(task, advance=1, description=record.track)
            if record.error is not None:
                fail(f"{record.track}: {record.error}")
            for note in record.notes:
                warn(f"{record.track}: {note}")

        records = estimates.score(found, store, on_done=on_done, on_note=warn, **how)
    for line in without_reference(found, records):
        warn(line)
    return sum(record.error is not None for record in records)


def _find(estimates: Path, selection: Selection) -> list[Estimates]:
    """Return the estimates of the selected tracks; warn of what has no counterpart."""
    from sepbench.cli.console import warn
    from sepbench.evaluation.estimate_files import find
    from sepbench.evaluation.unmatched import incomplete, unmatched_folders

    tracks = selection.tracks
    found = find(estimates, tracks)
    if len(found) < len(tracks):
        there = {one.track.name for one in found}
        absent = [track.name for track in tracks if track.name not in there]
        warn(f"no stems of {len(absent)} of {len(tracks)} tracks, {absent[0]!r} the first")
    for line in incomplete(found):
        warn(line)
    if others := unmatched_folders(estimates, found, lambda: selection.data.tracks("all")):
        are = "folder is" if len(others) == 1 else "folders are"
        warn(f"{len(others)} {are} of no track, {others[0].name!r} the first")
    return found
