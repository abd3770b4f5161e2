"""``sepbench separate``: separates songs into files."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench.cli import options
from sepbench.inference.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress, TaskID

    from sepbench.audio import Found
    from sepbench.inference.jobs import Job, SeparateOptions
    from sepbench.inference.result import Result
    from sepbench.inference.separate import SeparationSession

_FORMATS = ["wav", "flac", "ogg", "mp3", "m4a", "aac", "opus"]


@click.command("separate")
@click.argument("songs", nargs=-1, type=options.NAME, metavar="[SONG]...")
@options.method_option
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="Instead of --method and --stem: the best installed method for a purpose, and its stem.",
)
@click.option("--both", is_flag=True, help="With --preset: write its stem and all the rest.")
@click.option(
    "-o",
    "--out",
    type=options.PATH,
    default=Path("separated"),
    show_default=True,
    help="Folder for the stems.",
)
@click.option("--stem", "stems", multiple=True, help="Write only this stem; may be repeated.")
@click.option("--two-stems", metavar="STEM", help="Write this stem, and all the rest as one more.")
@options.start_option
@options.duration_option
@click.option(
    "--stream",
    type=options.Whole(min=0),
    metavar="N",
    help="Audio stream of a file with several, counted from 0.",
)
@click.option(
    "--format",
    type=click.Choice(_FORMATS),
    default="wav",
    show_default=True,
    help="File format of the stems; aac is m4a.",
)
@click.option(
    "--bit-depth",
    type=click.Choice(["16", "24", "32f"]),
    help="Bits per sample of wav and flac; 32f is floating point and never clips (wav only).  "
    "[default: 24]",
)
@click.option(
    "--bitrate",
    type=options.Whole(8, 1024),
    metavar="KBIT",
    help="kbit/s of mp3, m4a and opus.  [default: 256; opus: 160]",
)
@click.option(
    "--name",
    "pattern",
    default="{method}/{track}/{stem}",
    show_default=True,
    help="Path of each file below --out; {hash}, of the song's path, keeps equal names apart.",
)
@options.device_option
@click.option(
    "--spectrogram",
    is_flag=True,
    help="Draw mixture, stems and masks next to the stems; true stems and errors too, if the "
    "song is called mixture and its true stems are in the same folder.",
)
@click.option("--overwrite", is_flag=True, help="Make stems again that already exist.")
@click.option(
    "--isolate/--no-isolate",
    default=True,
    show_default=True,
    help="Run each method in a separate process, so that a crash costs one song.",
)
@options.json_option
def command(
    songs: tuple[str, ...],
    specs: tuple[str, ...],
    preset: str | None,
    both: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Separate SONGs (files, globs or folders) into stems.

    \b
    sepbench separate song.mp3
    sepbench separate --preset karaoke --format mp3 song.mp3
    sepbench separate -m hpss -m 'repet-sim[recipe=librosa]' album/ -o stems --format flac

    The default is the best installed method. Without SONG it asks, in a terminal. An existing stem
    is kept, unless separated.json next to it shows that it was made from another song or with other
    settings. Stems have the level of the song; clipping is reported. Missing weights are fetched.
    """
    from sepbench.cli import separate_methods
    from sepbench.cli.console import show_json
    from sepbench.inference.jobs import SeparateOptions
    from sepbench.inference.runner import choose_device
    from sepbench.inference.separate import SeparationSession

    if not songs:
        songs, specs, preset, both = _asked(specs, preset, how)
    how["format"] = "m4a" if how["format"] == "aac" else how["format"]
    specs, chosen = separate_methods.choose(specs, preset, both, how)
    found, lost = _found(songs)
    if how["device"] != "auto":
        choose_device(how["device"])  # Raises for one that is not there, before a method is named.
    about = separate_methods.explain(preset, chosen)
    settings = SeparateOptions(**how)
    jobs, faults = _planned(specs, found, settings)
    lost += [
        {"song": str(song), "method": label, "error": error}
        for label, error in faults.items()
        for song in found.songs
    ]
    session = click.get_current_context().with_resource(SeparationSession(settings))
    results = [{**facts, **about} for facts in lost]
    results += [{**facts, **about} for facts in _separated(session, jobs, settings, bool(lost))]
    if as_json:
        show_json(results)
    failures = sum("error" in facts for facts in results)
    if failures:
        click.get_current_context().exit(1 if failures < len(results) else 2)


def _planned(
    specs: Sequence[str], found: Found, settings: SeparateOptions
) -> tuple[list[Job], dict[str, str]]:
    """Return the jobs of the methods that can be used, and why the others cannot, by label."""
    from sepbench import registry
    from sepbench.cli import separate_methods
    from sepbench.inference.jobs import plan

    methods = registry.resolve_all(specs)
    faults = separate_methods.unusable(methods)
    usable = [method for method in methods if method.label not in faults]
    jobs = plan(found.songs, usable, settings, found.folders)
    faults |= separate_methods.without_weights(usable, alone=len(methods) == 1)
    return [job for job in jobs if job.method.label not in faults], faults


def _separated(
    session: SeparationSession, jobs: Sequence[Job], settings: SeparateOptions, others: bool
) -> list[dict[str, Any]]:
    """Run the jobs in order; return the result of each, ready for JSON.

    Raises `SepbenchError` if there is only one job and it fails.
    """
    from sepbench.cli.console import fail, fraction
    from sepbench.cli.general import show_traceback
    from sepbench.errors import SepbenchError

    results: list[dict[str, Any]] = []
    told: set[str] = set()  # A song that cannot be read fails with each method.
    with fraction() as bar:
        starting = bar.add_task("separating all songs at once", total=None)
        session.separate_ahead(jobs)
        bar.remove_task(starting)
        for job in jobs:
            task = bar.add_task(_title(job), total=None)
            try:
                results.append(_separate(session, job, settings, bar, task))
            except SepbenchError as error:
                if len(jobs) == 1 and not others:
                    raise
                show_traceback()
                # The method's error does not name the song; add it.
                song, message = str(job.song), str(error)
                is_named = re.search(rf"(^|[\s'\"]){re.escape(song)}([\s'\",;:]|$)", message)
                line = message if is_named else f"{song}: {message}"
                if line not in told:
                    fail(line)
                told.add(line)
                results.append({"song": song, "method": job.method.label, "error": message})
            finally:
                bar.remove_task(task)
    return results


def _separate(
    session: SeparationSession, job: Job, settings: SeparateOptions, bar: Progress, task: TaskID
) -> dict[str, Any]:
    """Run a job and print its result; return it, ready for JSON."""

    def advance(done: float, total: float, what: str) -> None:
        bar.update(
            task,
            description=": ".join(filter(None, [_title(job), what])),
            completed=done,
            total=total if total > done else None,
        )

    written = session.separate(job, on_progress=advance)
    _tell(written)
    if settings.spectrogram:
        bar.update(task, description=f"{_title(job)}: drawing", total=None)
        _draw(job, settings)
    return written.as_dict()


def _title(job: Job) -> str:
    return f"{job.method.label}  {job.song.name}"


def _tell(written: Result) -> None:
    from sepbench.cli.console import say, warn

    for line in written.warnings:
        warn(line)
    say(written.line())


def _found(songs: Sequence[str]) -> tuple[Found, list[dict[str, Any]]]:
    """Return the files of the given names, and the names without a file, with the reason.

    Raises `SepbenchError` if there is no file at all.
    """
    from sepbench.audio import find_songs
    from sepbench.cli.console import fail, say
    from sepbench.errors import SepbenchError

    usable, lost = [], []
    for song in songs:
        try:
            find_songs([song])
        except SepbenchError as error:
            lost.append({"song": song, "error": str(error)})
        except OSError as error:
            if len(songs) == 1:
                raise
            reason = (error.strerror or str(error)).lower()
            lost.append({"song": song, "error": f"{song}: {reason}"})
        else:
            usable.append(song)
    if not usable:
        raise SepbenchError("; ".join(facts["error"] for facts in lost))
    for facts in lost:
        fail(facts["error"])
    found = find_songs(usable)
    if len(found.songs) == 1 and not found.songs[0].exists():
        raise SepbenchError(f"{found.songs[0]}: no such file")
    for line in found.passed_by:
        say(line)
    return found, lost


def _asked(
    specs: tuple[str, ...], preset: str | None, how: dict[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...], str | None, bool]:
    """Ask for what was not given; return songs, methods, preset, and whether both stems."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("give a song: sepbench separate song.mp3")
    from sepbench.cli.questions import ask

    answers = ask(needs_method=not specs and preset is None, duration=how["duration"])
    how["duration"], how["format"] = answers.duration, answers.format or how["format"]
    method = () if answers.method is None else (answers.method,)
    return (answers.song,), specs or method, preset or answers.preset, answers.both


def _draw(job: Job, settings: SeparateOptions) -> None:
    from sepbench._util.files import from_here
    from sepbench.cli.console import say
    from sepbench.report import song

    title = f"{job.song.name}, {job.method.label}"
    drawn = song.draw(job, start=settings.start, stream=settings.stream, title=title)
    say(f"drawn: {from_here(drawn)}")
