"""Questions that ``sepbench separate`` asks in a terminal if no song is given."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from dataclasses import dataclass
from glob import glob

import click

from sepbench import registry
from sepbench.cli import options
from sepbench.errors import SepbenchError
from sepbench.inference.presets import PRESETS

_PURPOSES = {
    "all stems of the best installed method": (None, False),
    "the voice alone": ("acapella", False),
    "the song without the voice": ("karaoke", False),
    "the voice, and the song without it": ("karaoke", True),
    "the drums alone": ("drums", False),
    "the bass alone": ("bass", False),
    "a voice in noise": ("denoise-voice", False),
    "breathing in noise": ("denoise-respiratory", False),
}
_OWN = "with a method that I name"


@dataclass(frozen=True)
class Answers:
    """The answers; None where the default was kept."""

    song: str
    preset: str | None = None
    both: bool = False
    method: str | None = None
    duration: float | None = None
    format: str | None = None


def ask(*, needs_method: bool, duration: float | None) -> Answers:
    """Ask for the song and the purpose, on standard error."""
    song = click.prompt("Song (a file or a folder)", err=True, value_proc=_song)
    preset, both, method = None, False, None
    if needs_method:
        preset, both, method = _purpose()
    if duration is None:
        seconds = click.prompt("How many seconds of it (0: all)", default=0.0, err=True)
        duration = seconds if seconds > 0 else None
    chosen = click.prompt(
        "As", type=click.Choice(["wav", "flac", "mp3", "m4a"]), default="wav", err=True
    )
    return Answers(song, preset, both, method, duration, chosen)


def _song(text: str) -> str:
    """Return the file, folder or glob that was typed, pasted or dropped; ask again for none."""
    text = text.strip()
    forms = [text, text.strip("'\"")]
    with suppress(ValueError):  # Terminals put a backslash before the spaces of a dropped path.
        forms += [" ".join(shlex.split(text))]
    for form in forms:
        path = os.path.expanduser(form)
        if path and (os.path.lexists(path) or glob(path)):
            return path
    raise click.BadParameter(f"no such file or folder: {text}")


def _method(spec: str) -> str:
    try:
        registry.resolve(spec)
    except SepbenchError as error:
        raise click.BadParameter(str(error)) from None
    return spec


def _purpose() -> tuple[str | None, bool, str | None]:
    wanted = [*_PURPOSES, _OWN]
    for number, text in enumerate(wanted, 1):
        click.echo(f"  {number}  {text}", err=True)
    number = click.prompt("What", type=options.Whole(1, len(wanted)), default=1, err=True)
    if wanted[number - 1] == _OWN:
        question = "Method ('sepbench methods' lists them)"
        return None, False, click.prompt(question, err=True, value_proc=_method)
    preset, both = _PURPOSES[wanted[number - 1]]
    assert preset is None or preset in PRESETS  # noqa: S101 - a slip of this table
    return preset, both, None
