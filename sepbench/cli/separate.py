"""``sepbench separate``: songs in, stems on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("separate")
@click.argument("songs", nargs=-1, required=True, metavar="SONG...")
@click.option(
    "-m",
    "--method",
    "specs",
    multiple=True,
    required=True,
    metavar="METHOD[opt=value,...]",
    help="A separator, with options if need be; may be given several times.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("separated"),
    show_default=True,
    help="Folder for the stems.",
)
@click.option("--stem", "stems", multiple=True, help="Write only this stem; may be repeated.")
@click.option("--start", type=click.FloatRange(min=0), default=0.0, help="Begin here, in seconds.")
@click.option("--duration", type=float, help="Separate this many seconds.")
@click.option(
    "--format",
    type=click.Choice(["wav", "flac", "ogg"]),
    default="wav",
    show_default=True,
    help="File format of the stems.",
)
@click.option(
    "--bit-depth",
    type=click.Choice(["16", "24", "32f"]),
    default="24",
    show_default=True,
    help="Bits a sample; 32f is floating point and never clips (wav alone).",
)
@click.option(
    "--name",
    "pattern",
    default="{method}/{track}/{stem}",
    show_default=True,
    help="Where each file goes below --out.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--spectrogram", is_flag=True, help="Draw mixture, stems and masks beside the stems.")
@click.option("--overwrite", is_flag=True, help="Make stems anew that exist already.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
@click.pass_context
def command(
    ctx: click.Context, songs: tuple[str, ...], specs: tuple[str, ...], as_json: bool, **how: Any
) -> None:
    """Separate SONGs (files, globs or folders) into stems.

    \b
    sepbench separate -m hpss song.wav
    sepbench separate -m hpss -m 'repet-sim[recipe=librosa]' album/ -o stems --format flac

    A stem that exists is kept. The level is that of the song; what clips is reported.
    """
    from sepbench import registry
    from sepbench.audio import expand
    from sepbench.cli.console import fail, fraction, say, show_json, warn
    from sepbench.errors import SepbenchError
    from sepbench.separation import Job, separate_file

    job = Job(**how)
    methods = registry.resolve_all(specs)
    for method in methods:
        job.wanted(method)  # A stem that a method does not make is found out before any work.
    paths = expand(songs)
    written: list[dict[str, Any]] = []
    failures = 0
    with fraction() as bar:
        for path in paths:
            for method in methods:
                task = bar.add_task(f"{method.label}  {path.name}", total=None)
                try:
                    result = separate_file(
                        path,
                        method,
                        job,
                        on_progress=lambda done, total, task=task: bar.update(
                            task, completed=done, total=total
                        ),
                    )
                except SepbenchError as error:
                    if len(paths) * len(methods) == 1:
                        raise
                    failures += 1
                    fail(str(error))
                    written.append({"song": str(path), "method": method.label, "error": str(error)})
                else:
                    written.append(result.as_dict())
                    for line in result.warnings:
                        warn(line)
                    say(result.line())
                finally:
                    bar.remove_task(task)
    if as_json:
        show_json(written)
    if failures:
        ctx.exit(1)
