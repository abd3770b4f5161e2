"""``sepbench prepare``: decodes training data once, ahead of training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sepbench.cli import options
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from sepbench.training.data.choice import Choice


@click.command("prepare")
@click.argument("data", nargs=-1, required=True, type=options.NAME, metavar="DIR|NAME...")
@click.option("-o", "--out", type=options.PATH, required=True, help="Folder for the prepared data.")
@click.option(
    "--rate",
    type=click.IntRange(1000, 192000),
    default=16000,
    show_default=True,
    help="Sample rate in Hz of the prepared audio.",
)
@click.option("--teacher", metavar="METHOD[:SONGS]", help="Label songs without stems by METHOD.")
@click.option("--second", metavar="METHOD", help="Leave out windows where METHOD disagrees.")
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

    A folder holds stems of songs in one folder a song or one a stem, a data set, or a collection;
    in folders called 'voices' and 'backings' every file is a voice or a backing. A NAME is that of
    a data set in 'sepbench data'. Folders called 'train', 'valid' and 'test' say what songs are
    for; if nothing says so, a tenth is kept to validate and a tenth to test. Folders in it that
    sepbench wrote (separated stems, runs, prepared data) are passed by. What is there already is
    kept, so a run that was stopped goes on. With --teacher, songs without stems are added, with the
    vocals of METHOD as label; they are those in SONGS or in folders called 'unlabelled'. Guitars,
    pianos and the like are added to the other instruments; files whose names tell no stem are left
    out, which is said, or added too with --rest. What --track, --exclude, --limit, --start and
    --duration leave out is not prepared; GLOB is matched with a song's name or SOURCE/NAME. About
    110 MB an hour and part at 16 kHz.
    """
    from sepbench.cli.console import counting, say, show_json, warn
    from sepbench.training.data.choice import left_out
    from sepbench.training.data.prepare import prepare
    from sepbench.training.data.sources import tracks_of
    from sepbench.training.data.teacher import TeacherConfig, label_songs

    if second and not teacher:
        raise SepbenchError("--second compares with a teacher; give --teacher METHOD too")
    labelled = []
    if teacher:
        config = TeacherConfig(second=second or "").replaced(teacher)
        labelled = label_songs(config, data, device=device, required=True)
    tracks = tracks_of(data, choice, labelled)
    with counting() as bar:
        task = bar.add_task("preparing", total=len(tracks))
        cache, skipped = prepare(
            tracks, out, rate=rate, on_track=lambda name: bar.update(task, advance=1)
        )
    skipped += left_out(tracks)
    for line in skipped:
        warn(f"skipped {line}")
    if not cache.tracks:
        raise SepbenchError(f"{out}: none of {len(tracks)} tracks could be prepared")
    say(f"{out}: {len(cache.tracks)} tracks, {cache.hours:.1f} hours at {rate} Hz")
    if as_json:
        show_json(
            {
                "folder": str(out),
                "tracks": len(cache.tracks),
                "hours": cache.hours,
                "rate": rate,
                "skipped": list(skipped),
            }
        )
