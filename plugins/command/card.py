"""Cards of programs: command line, files, and formats."""

from __future__ import annotations

import os.path
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from sepbench.errors import MethodError, SepbenchError
from sepbench.separator import UNKNOWN_TRAINING
from sepbench.weights.card import check_keys, check_least, fill, read_mapping

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
AT_RUN_TIME = ("in", "songs", "out", "track", "device", "threads")
"""Placeholders filled for each run; others are filled when the card is read."""

OPTIONS = ("program", "model", "config", "checkpoint", "folder")
"""Placeholders filled by options."""


@dataclass(frozen=True)
class Needs:
    """A program on the PATH, its version command, and its installation command."""

    program: str = ""
    version: tuple[str, ...] = ()
    install: str = "install it, or give its path: program=PATH"


@dataclass(frozen=True)
class Card:
    """One program; the fields are the keys of its YAML.

    ``run`` is a list of arguments, without a shell. ``stems`` maps each stem to a pattern below the
    output folder. ``scale: peak`` gives the program songs of peak 1 and scales its stems back.
    ``tolerance`` is the number of samples by which a stem may be longer or shorter than the song.
    ``models`` has other values of these keys for some values of ``{model}``.
    """

    run: tuple[str, ...]
    stems: dict[str, str]
    rate: int = 44_100
    channels: Literal[1, 2] = 2
    bit_depth: Literal["32f", "24", "16"] = "32f"
    scale: Literal["none", "peak"] = "none"
    remainder: str | None = None
    batch: Literal["file", "folder"] = "file"
    timeout: float | None = None
    tolerance: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    needs: Needs = field(default_factory=Needs)
    files: tuple[str, ...] = ()
    """Other files, besides those in the command line, that decide the stems."""
    license: str = "LicenseRef-not-stated"
    citation: str = "not stated"
    trained_on: tuple[str, ...] = UNKNOWN_TRAINING
    defaults: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """The raw keys of a card, its name, and its folder."""

    values: dict[str, Any]
    name: str
    here: Path


def source(options: Any, file: Path | None) -> Source:
    """Return the card of the options, or of a subclass's ``file``.

    Raises `SepbenchError` for none or several cards.
    """
    names = ("preset", "file", "run")
    ways = {name: value for name in names if (value := getattr(options, name, ""))}
    if file is not None:
        ways = {"file": str(file)}
    if len(ways) != 1:
        given = f"{' and '.join(ways)} exclude one another; " if ways else ""
        raise MethodError(
            "command",
            f"{given}name a program: command[preset=demucs], "
            "command[file=CARD.yaml] or command[run=PROGRAM {in} {out},stems=vocals+drums]",
        )
    ((way, value),) = ways.items()
    if way == "run":
        return _from_line(value, options.stems)
    if way == "file":
        return Source(read_mapping(Path(value), value), value, Path(value).absolute().parent)
    name = f"preset {value}"
    preset = files(__package__) / "presets" / f"{value}.yaml"
    return Source(read_mapping(preset, name), name, Path.cwd())


def choose(options: Any, file: Path | None) -> Card:
    """Return the card of the options, or of a subclass's ``file``, with placeholders filled.

    Raises `SepbenchError` for an invalid card.
    """
    found = source(options, file)
    return _filled(unfilled(found, options), found, options)


def _from_line(line: str, stems: str) -> Source:
    name = f"method command: run={line}"
    try:
        run = shlex.split(line)
    except ValueError as error:
        raise SepbenchError(f"{name}: {str(error).lower()}") from None
    if not stems:
        raise SepbenchError(f"{name}: give its output files, as in stems=vocals+accompaniment")
    words = " ".join(run)
    if "{out}" not in words or not ("{in}" in words or "{songs}" in words):
        raise SepbenchError(f"{name}: the command needs {{in}} and {{out}}")
    return Source({"run": run, "stems": {}}, name, Path.cwd())


def unfilled(found: Source, options: Any) -> Card:
    """Return a card with the keys of the chosen model, its placeholders as they are written.

    Raises `SepbenchError` for an invalid card.
    """
    values, name = found.values, found.name
    if isinstance(values.get("bit_depth"), int):  # YAML reads 16 as a number.
        values = {**values, "bit_depth": str(values["bit_depth"])}
    first = fill(Card, values, name)
    chosen = getattr(options, "model", "") or first.defaults.get("model", "")
    model = first.models.get(chosen, {})
    check_keys(model, Card.__dataclass_fields__, f"{name}: models")
    card = fill(Card, {**values, **model}, name)
    if stems := getattr(options, "stems", ""):
        card = replace(card, stems=_stems(stems))
    if remainder := getattr(options, "remainder", ""):
        card = replace(card, remainder=remainder)
    numbers = {"rate >= 1000": card.rate, "tolerance >= 0": card.tolerance}
    check_least({**numbers, "timeout >= 0.001": card.timeout}, name)
    if not card.run or not card.stems:
        raise SepbenchError(f"{name}: 'run' and 'stems' must not be empty")
    for stem, glob in card.stems.items():
        parts = Path(glob.strip()).parts
        # Some versions of Python refuse `**` beside other characters.
        is_wrong = not parts or Path(glob).is_absolute() or ".." in parts
        if is_wrong or any("**" in part and part != "**" for part in parts):
            raise SepbenchError(
                f"{name}: stems: {stem}: {glob!r}: write a file or a pattern below {{out}}, "
                f"such as {stem}.wav"
            )
    return card


def _filled(card: Card, found: Source, options: Any) -> Card:
    """Return a card with the values of the options in place of its placeholders."""
    name, here = found.name, found.here
    typed = {key: value for key in OPTIONS if (value := getattr(options, key, ""))}
    given = {key: _path_or_name(key, value, card, here) for key, value in typed.items()}
    program = given.get("program")
    if program:
        card = replace(card, run=(program, *card.run[1:]))
    known = {"here": str(here), "python": sys.executable, **card.defaults, **given}
    return replace(
        card,
        run=tuple(_beside(substitute(part, known, name), here) for part in card.run),
        stems={stem: substitute(glob, known, name) for stem, glob in card.stems.items()},
        files=tuple(_beside(substitute(part, known, name), here) for part in card.files),
        environment={key: substitute(v, known, name) for key, v in card.environment.items()},
        needs=replace(
            card.needs,
            program=program or card.needs.program,
            version=tuple(_beside(substitute(v, known, name), here) for v in card.needs.version),
        ),
    )


def _stems(text: str) -> dict[str, str]:
    """Return the pattern of each stem: ``vocals`` alone is any file of that name."""
    stems = {}
    for part in text.split("+"):
        stem, _, glob = (word.strip() for word in part.partition(":"))
        if stem in stems:
            raise SepbenchError(f"method command: stems={text}: {stem} is named twice")
        stems[stem] = glob or f"**/{stem}.*"
    return stems


def _path_or_name(key: str, value: str, card: Card, here: Path) -> str:
    """Return the value of an option; a path in the current folder or the card's becomes absolute.

    The folder in which the program runs is neither of these.
    """
    if key == "model" and value in card.models:
        return value
    for path in (Path(value), here / value):
        # A program or model is first of all a name, and often that of the folder of its sources.
        is_there = os.path.isfile if key in ("program", "model") else os.path.exists
        if is_there(path):  # `Path.is_file` raises for a name that is too long.
            return str(path.absolute())
    return value


def _beside(argument: str, here: Path) -> str:
    """Return the path of a file given relative to the card, else the argument unchanged."""
    named = argument and "{" not in argument and not Path(argument).is_absolute()
    return str(here / argument) if named and os.path.isfile(here / argument) else argument


def substitute(text: str, values: Mapping[str, str], name: str) -> str:
    """Fill the ``{placeholders}`` of a text, except those of a run. ``{{`` and ``}}`` are literal.

    Raises `SepbenchError` for one without a value.
    """
    known = dict.fromkeys([*values, *OPTIONS, *AT_RUN_TIME])

    def filled(match: re.Match[str]) -> str:
        word = match[1]
        if word is None:
            return match[0]
        if word in OPTIONS and word not in values:
            raise SepbenchError(f"{name}: {{{word}}} has no value; give {word}=VALUE")
        check_keys([word], known, name, noun="placeholder")
        return values.get(word, match[0])

    return _PLACEHOLDER.sub(filled, text)


def filled_at_run(text: str, values: Mapping[str, str]) -> str:
    """Fill the placeholders of a run.

    >>> filled_at_run("--name={{stem}} {in}", {"in": "song.wav"})
    '--name={stem} song.wav'
    """
    doubled = {"{{": "{", "}}": "}"}
    return _PLACEHOLDER.sub(
        lambda match: doubled.get(match[0], values.get(match[1] or "", match[0])), text
    )
