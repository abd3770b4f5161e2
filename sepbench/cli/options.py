"""Options shared by several commands."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from sepbench.cli.completion import complete_method, complete_metric, complete_protocol
from sepbench.errors import SepbenchError
from sepbench.metrics.protocols import DEFAULT_PROTOCOL, PROTOCOLS

F = TypeVar("F", bound=Callable[..., Any])


class _Path(click.Path):
    """A non-empty path: an empty one would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("the name is empty", param, ctx)
        return super().convert(os.path.expanduser(value), param, ctx)


class _Name(click.types.StringParamType):
    """A non-empty word: an empty one is usually an unset shell variable."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


PATH = _Path(path_type=Path)
NAME = _Name()


class Number(click.FloatRange):
    """A number, called so in messages and in the help."""

    name = "number"


class Whole(click.IntRange):
    """An integer, called a whole number in messages and in the help."""

    name = "whole number"


class _AnyWhole(click.types.IntParamType):
    """A whole number without bounds, of which click's help says nothing."""

    name = Whole.name


class _Seconds(Number):
    """A finite number of seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value} is not a number of seconds", param, ctx)
        return seconds


def _json_alone(ctx: click.Context, param: click.Parameter, as_json: bool) -> bool:
    """Reserve standard output for JSON from now on."""
    if as_json:
        from sepbench.cli.console import json_alone

        ctx.with_resource(json_alone())
    return as_json


ANY_WHOLE = _AnyWhole()
SECONDS = _Seconds(min=0, min_open=True)

method_option = click.option(
    "-m",
    "--method",
    "specs",
    multiple=True,
    metavar="METHOD[opt=value,...]",
    shell_complete=complete_method,
    help="A separator, optionally with options in brackets; may be repeated.",
)
start_option = click.option(
    "--start",
    type=_Seconds(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Start of the part of each song.",
)
duration_option = click.option(
    "--duration", type=SECONDS, metavar="SECONDS", help="Length of the part of each song."
)


def _device(ctx: click.Context, param: click.Parameter, name: str) -> str:
    """Refuse an invalid name of a device, even if nothing is left to do."""
    if not (ctx.resilient_parsing or re.fullmatch(r"auto|(cpu|cuda|mps)(:\d+)?", name)):
        raise SepbenchError(
            f"device {name!r}: no such kind; --device auto takes the best of cpu, cuda and mps"
        )
    return name


device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    callback=_device,
    help="auto, cpu, cuda, cuda:N or mps.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_json_alone, help="Print JSON."
)


def _known(ctx: click.Context, param: click.Parameter, name: str) -> str:
    """Refuse an unknown protocol before anything is run."""
    if not ctx.resilient_parsing and name not in PROTOCOLS:
        from sepbench.registry.metrics import protocol

        protocol(name)
    return name


protocol_option = click.option(
    "--protocol",
    type=NAME,
    callback=_known,
    default=DEFAULT_PROTOCOL,
    show_default=True,
    metavar="NAME",
    shell_complete=complete_protocol,
    help=f"How scores are aggregated in the table and the plot: {', '.join(PROTOCOLS)}, or the "
    "name of a metric. The CSV files have all.",
)
reference_option = click.option(
    "--reference",
    "references",
    type=click.Choice(["sisec18"]),
    multiple=True,
    help="Add published scores, if data set, tracks and protocol are the same.",
)
format_option = click.option(
    "--format",
    type=click.Choice(["latex", "markdown", "html", "csv", "json"]),
    help="Print the table in this format.",
)
targets_option = click.option(
    "--targets",
    type=click.Choice(["largest", "musdb"]),
    default="largest",
    show_default=True,
    help="Stems scored together: the largest set, or as museval does for MUSDB18 (vocals within "
    "vocals and accompaniment).",
)
metric_option = click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=NAME,
    default=["sdr"],
    metavar="NAME",
    shell_complete=complete_metric,
    help="Metric or group of metrics besides sdr, see 'sepbench metrics'; may be repeated.",
)


def chosen_devices(several: str | None, one: str) -> tuple[str, ...]:
    """Return the devices that ``--devices`` names, or the one of ``--device``.

    Raises `SepbenchError` for an unavailable device, and for devices of different kinds.
    """
    from sepbench.inference.runner import choose_devices

    return choose_devices([one] if several is None else map(str.strip, several.split(",")))


def chosen_metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the metrics of names and groups; report which members of a group are left out.

    Raises `SepbenchError` for a metric that is unknown or cannot be used.
    """
    from sepbench.cli.console import say
    from sepbench.registry.metrics import left_out, resolve_metrics

    chosen = tuple(metric.label for metric in resolve_metrics(names))
    for line in left_out(names):
        say(line)
    return chosen


out_option = click.option(
    "-o",
    "--out",
    type=PATH,
    help="Folder of the run.  [default: results/DATASET, with subset and span]",
)


_CHOICE = (
    click.option("--track", "tracks", multiple=True, metavar="GLOB", help="Only these songs."),
    click.option(
        "--exclude", multiple=True, metavar="GLOB", help="Leave these out, such as 'Music Delta*'."
    ),
    click.option(
        "--limit", type=Whole(min=1), help="Most songs of each source and split."
    ),
    start_option,
    duration_option,
    click.option(
        "--rest", type=click.Choice(["other", "harmonic"]),
        help="Add files whose names match no stem to the other instruments; with 'harmonic' all "
        "that is neither vocals nor drums, as MiXiN did.",
    ),
)  # fmt: skip


def as_one_choice(
    command: F, options: Sequence[Callable[[F], F]], choice_class: Callable[[], Any]
) -> F:
    """Add options to a command, which gets their values as the argument ``choice``.

    ``choice_class`` returns a dataclass with a field per option; it is called only when the command
    runs, as importing the class may take time.
    """

    @functools.wraps(command)
    def chosen(*args: Any, **values: Any) -> Any:
        made = choice_class()
        fields = {field.name: values.pop(field.name) for field in dataclasses.fields(made)}
        return command(*args, choice=made(**fields), **values)

    wrapped: Any = chosen
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def choice_options(command: F) -> F:
    """Add the options that select training songs, passed as one ``choice``."""

    def choice_class() -> Any:
        from sepbench.training.data.choice import Choice

        return Choice

    return as_one_choice(command, _CHOICE, choice_class)


_PAGE = (
    click.option("--page", is_flag=True, help="Write a page with tables, audio and ratings."),
    click.option(
        "--listen",
        type=Whole(min=1),
        metavar="N",
        help="Put N songs on the page; separate them again if the run has not kept their stems.",
    ),
)


def page_options(command: F) -> F:
    """Add the options of the page."""
    for option in reversed(_PAGE):
        command = option(command)
    return command
