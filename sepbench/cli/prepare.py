"""``sepbench prepare``: decodes training data once, ahead of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sepbench.cli import options
from sepbench.cli.completion import complete_method
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from sepbench.training.data.choice import Choice
    from sepbench.training.data.prepared import PreparedDataset
    from sepbench.training.data.recording import Recording


@click.command("prepare", short_help="Decode songs into a folder that 'sepbench train' reads.")
@click.argument("data", nargs=-1, required=True, type=options.NAME, metavar="DIR|NAME...")
@click.option("-o", "--out", type=options.PATH, required=True, help="Folder for the prepared data.")
@click.option(
    "--rate",
    type=options.Whole(1000, 192000),
    default=16000,
    show_default=True,
    help="Sample rate in Hz of the prepared audio.",
)
@click.option(
    "--teacher",
    metavar="METHOD[:SONGS]",
    shell_complete=complete_method,
    help="Label songs without stems by METHOD.",
)
@click.option(
    "--second", metavar="METHOD", shell_complete=complete_method,
    help="Leave out windows where METHOD disagrees.",
)  # fmt: skip
@options.choice_options
@options.device_option
@options.json_option
def command(
    data: tuple[str, ...],
    out: Path,
    rate: int,
    teacher: str | None,
    second: str | None,
    choice: Choice,
    device: str,
    as_json: bool,
) -> None:
    """Decode songs, voices and backings into a folder that 'sepbench train' reads.

    \b
    sepbench prepare corpus/ -o prepared/
    sepbench prepare musdb18 voices/ backings/ -o prepared/ --rate 22050
    sepbench prepare corpus/ -o prepared/ --teacher spleeter:songs/ --second unet
    sepbench prepare musdb18 -o prepared/ --exclude 'Music Delta*' --start 30 --duration 60

    A folder holds stems with one folder per song or per stem, a data set, or a collection of these;
    in folders called 'voices' and 'backings' every file is a voice or a backing. NAME is a data set
    of 'sepbench data'. Folders called 'train', 'valid' and 'test' define the split; without them a
    tenth of the songs is kept for validation and a tenth for testing. Folders that sepbench wrote
    (separated stems, runs, prepared data) are skipped. Finished songs are kept, so a stopped run
    resumes. --teacher adds songs without stems, labelled with the vocals of METHOD; they are in
    SONGS or in folders called 'unlabelled'. Guitars, pianos and the like are added to the other
    instruments; files whose names match no stem are left out and reported, or added too with
    --rest. Songs that --track, --exclude, --limit, --start and --duration leave out are not
    prepared; GLOB is matched against a song's name or SOURCE/NAME. Needs about 110 MB per hour and
    part at 16 kHz.
    """
    from sepbench.cli.console import counting, warn
    from sepbench.training.data.choice import left_out
    from sepbench.training.data.prepare import prepare
    from sepbench.training.data.sources import tracks_of

    if any(Path(where).is_dir() and Path(where).resolve() == out.resolve() for where in data):
        raise SepbenchError(f"{out}: the folder of the songs themselves; choose another --out")
    tracks = tracks_of(data, choice, _labelled(teacher, second, data, device))
    with counting() as bar:
        task = bar.add_task("preparing", total=len(tracks))
        dataset, skipped = prepare(
            tracks, out, rate=rate, on_track=lambda name: bar.update(task, advance=1)
        )
    skipped += left_out(tracks)
    for line in skipped:
        warn(f"skipped {line}")
    if not dataset.tracks:
        raise SepbenchError(f"{out}: none of {len(tracks)} tracks could be prepared")
    _show(out, dataset, skipped, as_json=as_json)


def _labelled(
    teacher: str | None, second: str | None, data: Sequence[str], device: str
) -> Sequence[Recording]:
    """Return the songs that a teacher labels, none without one."""
    from sepbench.training.data.teacher import TeacherConfig, label_songs

    if second and not teacher:
        raise SepbenchError("--second compares with a teacher; give --teacher METHOD too")
    if not teacher:
        return []
    config = TeacherConfig(second=second or "").replaced(teacher)
    return label_songs(config, data, device=device, required=True)


def _show(folder: Path, dataset: PreparedDataset, skipped: Sequence[str], *, as_json: bool) -> None:
    """Print the size of the prepared data."""
    from sepbench.cli.console import say, show_json

    tracks, hours, rate = len(dataset.tracks), dataset.hours, dataset.rate
    say(f"{folder}: {tracks} tracks, {hours:.1f} hours at {rate} Hz")
    if as_json:
        show_json(
            {
                "folder": str(folder),
                "tracks": tracks,
                "hours": hours,
                "rate": rate,
                "skipped": list(skipped),
            }
        )
