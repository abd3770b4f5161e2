"""``sepbench separate``: songs in, stems on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench.cli import options
from sepbench.inference.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import TaskID

    from sepbench.inference.presets import Chosen
    from sepbench.inference.separate import Job, SeparateOptions


@click.command("separate")
@click.argument("songs", nargs=-1, required=True, type=options.NAME, metavar="SONG...")
@options.method_option
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="Instead of --method and --stem: the best method here for a purpose, and its stem.",
)
@click.option(
    "-o",
    "--out",
    type=options.PATH,
    default=Path("separated"),
    show_default=True,
    help="Folder for the stems.",
)
@click.option("--stem", "stems", multiple=True, help="Write only this stem; may be repeated.")
@options.start_option
@options.duration_option
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
@options.device_option
@click.option("--spectrogram", is_flag=True, help="Draw mixture, stems and masks beside the stems.")
@click.option("--overwrite", is_flag=True, help="Make stems anew that exist already.")
@options.json_option
def command(
    songs: tuple[str, ...],
    specs: tuple[str, ...],
    preset: str | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Separate SONGs (files, globs or folders) into stems.

    \b
    sepbench separate -m hpss song.wav
    sepbench separate --preset karaoke song.wav
    sepbench separate -m hpss -m 'repet-sim[recipe=librosa]' album/ -o stems --format flac

    A stem that exists is kept, unless separated.json beside it says that it was made of another
    song or with other settings. The level is that of the song; what clips is reported. Weights that
    are not here are fetched.
    """
    from sepbench import registry
    from sepbench.cli.console import fail, fraction, say, show_json, warn
    from sepbench.cli.weights import bring
    from sepbench.errors import SepbenchError
    from sepbench.inference.presets import choose
    from sepbench.inference.separate import SeparateOptions, SeparationSession, plan

    if not specs and preset is None:
        raise click.UsageError(
            "choose a method: -m METHOD, or --preset; 'sepbench methods' lists them"
        )
    about: dict[str, Any] = {}
    if preset is not None:
        if specs or how["stems"]:
            raise click.UsageError(
                "--preset chooses method and stem; leave --method and --stem out"
            )
        chosen = choose(preset)
        specs, how["stems"] = (chosen.choice.spec,), (chosen.choice.stem,)
        about = _about(preset, chosen)
    job = SeparateOptions(**how)
    methods = registry.resolve_all(specs)
    found, lost = _found(songs)
    orders = plan(found, methods, job)
    for method in methods:
        bring(method)
    session = SeparationSession(job)
    results: list[dict[str, Any]] = [{**facts, **about} for facts in lost]
    failures, alone = len(lost), len(orders) + len(lost) == 1
    with fraction() as bar:
        for order in orders:
            name = f"{order.method.label}  {order.song.name}"
            task = bar.add_task(name, total=None)

            def advance(done: float, total: float, task: TaskID = task) -> None:
                bar.update(task, completed=done, total=total)

            try:
                written = session.separate(order, on_progress=advance)
            except SepbenchError as error:
                if alone:
                    raise
                failures += 1
                # Of what goes wrong in a method it knows not in which song.
                song, told = str(order.song), str(error)
                fail(told if song in told else f"{song}: {told}")
                facts = {"song": song, "method": order.method.label}
                results.append({**facts, **about, "error": told})
            else:
                results.append({**written.as_dict(), **about})
                for line in written.warnings:
                    warn(line)
                say(written.line())
                if job.spectrogram:
                    bar.update(task, description=f"{name}: drawing", completed=0, total=None)
                    say(f"drawn: {_draw(order, job)}")
            finally:
                bar.remove_task(task)
    if as_json:
        show_json(results)
    if failures:
        click.get_current_context().exit(1 if failures < len(orders) + len(lost) else 2)


def _found(songs: Sequence[str]) -> tuple[list[Path], list[dict[str, Any]]]:
    """Return the files that names stand for, each once, and what stands for none and why.

    Raises `SepbenchError` where there is no file at all.
    """
    from sepbench.audio import expand
    from sepbench.cli.console import fail
    from sepbench.errors import SepbenchError

    usable, lost = [], []
    for song in songs:
        try:
            expand([song])
        except SepbenchError as error:
            lost.append({"song": song, "error": str(error)})
        else:
            usable.append(song)
    if not usable:
        raise SepbenchError("; ".join(facts["error"] for facts in lost))
    for facts in lost:
        fail(facts["error"])
    return expand(usable), lost


def _about(preset: str, chosen: Chosen) -> dict[str, Any]:
    """Say which method a preset comes down to and why; return the same for programs."""
    from sepbench.cli.console import say

    say(f"{preset}: {chosen.choice.stem} by {chosen.method.label}; {chosen.choice.why}")
    for spec, reason in chosen.passed_over.items():
        say(f"  {spec} would come before: {reason}")
    passed_over = chosen.passed_over
    return {"preset": preset, "why": chosen.choice.why, "passed_over": passed_over}


def _draw(order: Job, job: SeparateOptions) -> Path:
    from sepbench.report import song

    title = f"{order.song.name}, {order.method.label}"
    return song.draw(order, start=job.start, title=title)
