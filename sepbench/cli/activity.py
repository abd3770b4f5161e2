"""``sepbench activity``: detects singing in songs."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench.cli import options
from sepbench.cli.completion import complete_dataset
from sepbench.cli.track_selection import TrackChoice, track_options
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from sepbench.activity.detector import VoiceDetector
    from sepbench.activity.segments import Decision, Segment


@click.command("activity")
@click.argument("songs", nargs=-1, type=options.NAME, metavar="[SONG]...")
@click.option(
    "--dataset",
    type=options.NAME,
    shell_complete=complete_dataset,
    help="Score on the songs of a data set instead.",
)
@track_options
@click.option(
    "--threshold", type=options.Number(0, 1), default=0.4, show_default=True,
    help="Least probability of singing.",
)  # fmt: skip
@click.option("--weights", type=options.PATH, metavar="FILE", help="Another trained detector.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one row per segment, or per track.")
@click.option("--labels", is_flag=True, help="Print, or write to --out, a label track of Audacity.")
@click.option(
    "--picture",
    is_flag=True,
    help="Write a picture of each song with the detected singing to --out.",
)
@click.option("-o", "--out", type=options.PATH, help="Folder for labels and pictures.")
@options.device_option
@options.json_option
def command(
    songs: tuple[str, ...],
    dataset: str | None,
    choice: TrackChoice,
    threshold: float,
    weights: Path | None,
    as_csv: bool,
    labels: bool,
    picture: bool,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Detect singing in SONGs.

    \b
    sepbench activity song.mp3
    sepbench activity album/*.flac --labels --picture -o activity
    sepbench activity --dataset musdb18-hq --root ~/musdb18hq

    Times are in seconds. With --dataset, F1, precision, recall and AUC of frames of 10 ms are
    printed; the reference is where the vocals stem sounds.
    """
    import torch

    from sepbench.activity.detector import VoiceDetector
    from sepbench.activity.segments import Decision
    from sepbench.inference.runner import choose_device

    if bool(songs) == bool(dataset):
        raise click.UsageError("give either SONGs or --dataset NAME")
    _check_use(dataset, labels or picture or out is not None)
    if sum((as_csv, labels, as_json)) > 1:
        raise click.UsageError("choose one of --json, --csv and --labels")
    if out is None and (picture or (labels and len(songs) > 1)):
        raise click.UsageError("give --out DIR, the folder for labels and pictures")
    detector = VoiceDetector(weights, torch.device(choose_device(device)))
    decision = Decision(threshold=threshold)
    failures = 0
    if dataset:
        rows = _score(detector, decision, dataset, choice)
        columns = ["track", "f1", "precision", "recall", "auc"]
    else:
        rows, failures = _find(detector, decision, songs, choice, labels, picture, out)
        columns = ["song", "start", "end", "confidence"]
    if not labels:
        _print(rows, columns, as_json=as_json, as_csv=as_csv)
    if failures:
        click.get_current_context().exit(1)


def _check_use(dataset: str | None, drawn: bool) -> None:
    """Refuse options that would have no effect."""
    typed = click.get_current_context().get_parameter_source
    default = click.core.ParameterSource.DEFAULT
    if dataset and drawn:
        raise click.UsageError("--dataset prints scores; leave --labels, --picture and --out out")
    if not dataset and any(typed(name) != default for name in ("root", "subset", "patterns")):
        raise click.UsageError("--root, --subset and --track are for --dataset")


def _find(
    detector: VoiceDetector,
    decision: Decision,
    songs: tuple[str, ...],
    choice: TrackChoice,
    labels: bool,
    picture: bool,
    out: Path | None,
) -> tuple[list[dict[str, Any]], int]:
    """Return a row for each segment, and the number of songs that could not be read.

    Labels and pictures of each song are written.
    """
    from sepbench import audio
    from sepbench.activity.segments import segments
    from sepbench.cli.console import counting, fail, warn

    rows: list[dict[str, Any]] = []
    given = audio.find_songs(songs)
    for line in given.passed_by:
        warn(line)
    paths = given.songs
    failures = 0
    names = audio.track_names(paths)
    with counting() as bar:
        task = bar.add_task("listening", total=len(paths))
        for number, (path, name) in enumerate(zip(paths, names, strict=True)):
            bar.update(task, description=path.name, completed=number)
            try:
                song = audio.read(path, start=choice.start, duration=choice.duration)
            except SepbenchError as error:
                if len(paths) == 1:
                    raise
                failures += 1
                fail(str(error))
                continue
            probabilities = detector.probabilities(song.samples, song.rate)
            inside = segments(probabilities, decision)  # from the start of the part on
            found = [_moved(segment, choice.start) for segment in inside]
            rows += [{"song": str(path), **asdict(segment)} for segment in found]
            if labels:
                _write_labels(found, None if out is None else out / f"{name}.txt")
            if picture and out is not None:
                _draw(out / f"{name}.png", song, probabilities, inside, title=path.name)
    return rows, failures


def _write_labels(found: list[Segment], file: Path | None) -> None:
    """Write a label track of Audacity, or print it if there is no file."""
    from sepbench._util.files import write_atomic
    from sepbench.activity.segments import audacity_labels
    from sepbench.cli.console import say

    if file is None:
        click.echo(audacity_labels(found), nl=False)
        return
    write_atomic(file, audacity_labels(found))
    say(f"written: {file}")


def _moved(segment: Segment, start: float) -> Segment:
    from sepbench.activity.segments import Segment

    return Segment(
        round(segment.start + start, 3), round(segment.end + start, 3), segment.confidence
    )


def _score(
    detector: VoiceDetector,
    decision: Decision,
    dataset: str,
    choice: TrackChoice,
) -> list[dict[str, Any]]:
    """Return a row of scores for each track, and one for all frames."""
    from sepbench.cli.console import counting
    from sepbench.evaluation.activity import pooled, score_tracks

    tracks = choice.select(dataset).tracks
    with counting() as bar:
        task = bar.add_task("listening", total=len(tracks))

        def on_track(name: str) -> None:
            bar.update(task, advance=1, description=name)

        scored = score_tracks(
            detector,
            tracks,
            decision,
            start=choice.start,
            duration=choice.duration,
            on_track=on_track,
        )
    rows = [{"track": track.name, **asdict(track.scores)} for track in scored]
    return [*rows, {"track": "all frames", **asdict(pooled(scored))}]


def _draw(file: Path, song: Any, probabilities: Any, found: list[Segment], *, title: str) -> None:
    """Draw the detected segments, whose times count from the start of the samples of ``song``."""
    from sepbench.cli.console import say
    from sepbench.report import activity, figure

    page = activity.picture(song.samples, song.rate, probabilities, found, title=title)
    figure.save(page, file)
    say(f"drawn: {file}")


def _print(rows: list[dict[str, Any]], columns: list[str], *, as_json: bool, as_csv: bool) -> None:
    from rich.table import Table

    from sepbench.cli.console import say, show, show_json

    if as_json:
        show_json(rows)
    elif as_csv:
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        click.echo(text.getvalue(), nl=False)
    elif not rows:
        say("nobody sings")
    else:
        table = Table(box=None)
        for column in columns:
            table.add_column(column, justify="left" if column == columns[0] else "right")
        for row in rows:
            table.add_row(
                *(f"{row[c]:.3f}" if isinstance(row[c], float) else str(row[c]) for c in columns)
            )
        show(table)
