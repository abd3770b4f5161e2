"""Pages of the site that are made from the program itself, so that they are never out of date.

mkdocs calls the functions ``on_...`` (its hooks) while it builds the site.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

FIRST = {
    "Use": [
        *("index.md", "guide.md", "songs.md", "page.md", "python.md", "cluster.md"),
        "command-line.md",
    ],
    "Scores": ["metrics.md", "statistics.md"],
    "Lists": ["methods.md", "metric-list.md", "datasets.md"],
    "Methods": ["published-systems.md", "cdae.md", "blstm.md"],
    "Extend": [
        *("bring-your-own.md", "writing-a-plugin.md", "writing-a-metric.md"),
        *("writing-a-data-set.md", "training.md"),
    ],
    "Inside": ["api.md", "architecture.md"],
}
"""Pages by section, in order; a page that is in no section comes last."""

DOORS = {
    "Separate, evaluate, score": [
        "sepbench.inference.arrays.separate",
        "sepbench.report.run.evaluate",
        "sepbench.report.run.open_run",
        "sepbench.compare",
        "sepbench.report.run.Run",
        "sepbench.report.arrays.score",
        "sepbench.errors.SepbenchError",
    ],
    "Write a separator": [
        "sepbench.separator.Separator",
        "sepbench.separator.Oracle",
        "sepbench.separator.Ensemble",
        "sepbench.separator.WeightFile",
        "sepbench.options.option",
    ],
    "Train one": [
        "sepbench.training.train.train",
        "sepbench.training.train.open_training",
        "sepbench.training.model.Trainable",
        "sepbench.training.masking.MaskTrainable",
        "sepbench.training.losses",
        "sepbench.training.learned.Learned",
        "sepbench.training.learned_mask.LearnedMask",
    ],
    "Transforms and masks": [
        "sepbench.dsp.stft",
        "sepbench.dsp.nsgt",
        "sepbench.dsp.slices",
        "sepbench.dsp.masks",
        "sepbench.dsp.median",
        "sepbench.dsp.wiener",
    ],
}
"""The public interface, as dotted names by heading."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and list every page in the navigation."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    every = [file.src_uri for file in files.documentation_pages()]
    sections = {
        title: [page for page in wanted if page in every] for title, wanted in FIRST.items()
    }
    listed = {page for wanted in sections.values() for page in wanted}
    sections["More"] = [page for page in every if page not in listed]
    config.nav = [{title: wanted} for title, wanted in sections.items() if wanted]
    return files


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    from sepbench import datasets, methods
    from sepbench.registry import metrics as found

    return {
        "api.md": "\n".join(_api()),
        "command-line.md": "\n".join(_command_line()),
        "methods.md": "\n".join(_methods(methods())),
        "metric-list.md": "\n".join(
            _metrics(
                found.metric_facts(info.metric(), info.distribution)
                for info in found.metrics()
                if info.metric is not None
            )
        ),
        "datasets.md": "\n".join(_datasets(datasets())),
    }


def _api() -> Iterator[str]:
    yield "# Python API\n"
    yield "What stands here keeps its meaning within a minor version; everything else may change.\n"
    for title, names in DOORS.items():
        yield f"## {title}\n"
        yield from (f"::: {name}\n    options: {{heading_level: 3}}\n" for name in names)


def _command_line() -> Iterator[str]:
    from sepbench.cli.main import main

    yield "# Command line\n"
    yield "This page is made from the program. `sepbench COMMAND --help` says the same.\n"
    yield from _command(main, "sepbench")


def _command(
    command: click.Command, path: str, parent: click.Context | None = None
) -> Iterator[str]:
    # A command keeps the option --help of its first context, which has the names of its parent.
    context = click.Context(command, parent, info_name=path, **command.context_settings)
    level = "#" * (1 + len(path.split()))
    if path != "sepbench":
        yield f"{level} {path}\n"
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"```\n{path} {usage}\n```\n"
        yield from _help(command.help or "")
        rows = [
            (names, text)
            for parameter in command.params
            if (record := parameter.get_help_record(context))
            for names, text in [record]
        ]
        if rows:
            yield from _table(("option", "meaning"), ((f"`{names}`", text) for names, text in rows))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if child := command.get_command(context, name):
                yield from _command(child, f"{path} {name}", context)


def _help(text: str) -> Iterator[str]:
    r"""Yield the paragraphs of a command's help; one that begins with ``\b`` is code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            code = paragraph.removeprefix("\b").strip("\n")
            yield f"```sh\n{code}\n```\n"
        else:
            yield f"{_escaped(paragraph)}\n"


def _methods(listing: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "# Methods\n"
    yield (
        "Everything that is installed with sepbench itself. `sepbench methods NAME` says the same, "
        "and what is missing on your machine.\n"
    )
    for entry in listing:
        yield f"## {entry['name']}\n"
        if entry.get("reason"):
            yield f"{_escaped(str(entry['reason']))}\n"
        if "summary" not in entry:
            continue
        yield f"{_escaped(entry['summary'])}\n"
        yield from _facts(
            entry, stems="stems", remainder="remainder", license="license", citation="source",
            trained_on="trained on",
        )  # fmt: skip
        options = entry.get("options") or []
        if options:
            yield from _table(
                ("option", "default", "meaning"),
                ((f"`{o['name']}`", f"`{o['default']}`", str(o["help"])) for o in options),
            )


def _metrics(listing: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "# Metrics\n"
    yield "`sepbench metrics NAME` says the same; `--metric NAME` computes them.\n"
    for entry in listing:
        yield f"## {entry['name']}\n"
        yield f"{_escaped(str(entry.get('summary') or entry.get('reason')))}\n"
        yield from _facts(
            entry, totals="values a track", frames="values a window", unit="unit",
            silence="silence", groups="groups", protocols="protocols", source="source",
        )  # fmt: skip


def _datasets(listing: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "# Data sets\n"
    yield "`sepbench data NAME` says the same, and where it was looked for on your machine.\n"
    for entry in listing:
        yield f"## {entry['name']}\n"
        yield f"{_escaped(str(entry.get('summary') or entry.get('reason')))}\n"
        yield from _facts(entry, license="license", how_to_get="how to get it")


def _facts(entry: Mapping[str, Any], **titles: str) -> Iterator[str]:
    for key, title in titles.items():
        value = entry.get(key)
        if value:
            shown = value if isinstance(value, str) else ", ".join(map(str, value))
            yield f"- {title}: {_escaped(shown)}"
    yield ""


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        cells = (cell if cell.startswith("`") else _escaped(cell) for cell in row)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _escaped(text: str) -> str:
    """Return text in which brackets and underlines are not Markdown."""
    for letter in "[]<>*_":
        text = text.replace(letter, "\\" + letter)
    return " ".join(text.split())


if __name__ == "__main__":
    for page, written in pages().items():
        print(f"<!-- {Path(page).name} -->\n{written}")  # noqa: T201
