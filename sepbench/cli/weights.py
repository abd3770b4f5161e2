"""``sepbench weights``: which weights there are, those from elsewhere, those of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench.cli import options
from sepbench.cli.weight_files import average, export, import_, show
from sepbench.errors import SepbenchError
from sepbench.options import parse_spec
from sepbench.registry import weight_status

if TYPE_CHECKING:
    from sepbench.registry import Method

_methods = click.argument("specs", nargs=-1, metavar="[METHOD[opt=value,...]...]")


@click.group("weights")
def command() -> None:
    """The weights of trained methods: list, fetch and verify them, exchange them with other tools.

    \b
    sepbench weights list
    sepbench weights fetch open-unmix 'demucs[model=htdemucs_ft]'

    Fetched files are kept in a cache folder; the environment variable SEPBENCH_CACHE moves it.
    """


@command.command("list")
@_methods
@options.json_option
def list_(specs: tuple[str, ...], as_json: bool) -> None:
    """List the weight files of all methods, or of some: size, terms, and whether they are here."""
    _present(list(weight_status.weight_status(specs)), as_json)


@command.command("verify")
@_methods
@options.json_option
def verify(specs: tuple[str, ...], as_json: bool) -> None:
    """Read the files that are here through; a damaged one, or a missing one that was named, fails.

    The hash of a file is what was published; where only its beginning was, what it was when the
    file came. Weights of your own, METHOD[weights=FILE], are held against what was saved.
    """
    rows = list(weight_status.weight_status(specs, read=True))
    _present(rows, as_json)
    bad = {"damaged", "missing"} if specs else {"damaged"}
    if any(row["state"] in bad for row in rows):
        click.get_current_context().exit(1)


@command.command("path")
@_methods
@options.json_option
def path(specs: tuple[str, ...], as_json: bool) -> None:
    """Print where the weight files of methods lie or belong; without a METHOD, the cache folder."""
    from sepbench.cli.console import show_json
    from sepbench.weights import files

    found = [str(files.folder())]
    if specs:
        found = [row["path"] for row in weight_status.weight_status(specs)]
    if as_json:
        show_json(found)
    else:
        for place in found:
            click.echo(place)


@command.command("fetch")
@click.argument("specs", nargs=-1, required=True, metavar="METHOD[opt=value,...]...")
@options.json_option
def fetch(specs: tuple[str, ...], as_json: bool) -> None:
    """Download the weights of methods into the cache, each file whole or not at all.

    A download that broke off goes on where it was. Files that came here in another way count too,
    once they lie where 'sepbench weights path METHOD' says.
    """
    from sepbench import registry
    from sepbench.cli.console import fail, say, show_json

    done: list[dict[str, Any]] = []
    failures = 0
    methods = registry.resolve_all(specs)
    for method in methods:
        try:
            _check_what_came_along(method)
            came = bring(method, read=True)
        except SepbenchError as error:
            if len(methods) == 1:
                raise
            failures += 1
            fail(str(error))
            done.append({"method": method.label, "error": str(error)})
        else:
            say(f"{method.label}: {_files(len(came))} fetched" if came else _here(method))
            done.append({"method": method.label, "fetched": [str(file) for file in came]})
    if as_json:
        show_json(done)
    if failures:
        click.get_current_context().exit(1)


@command.command("add")
@click.argument("method", metavar="METHOD")
@click.argument("sources", type=options.PATH, nargs=-1, required=True, metavar="FILE...")
@options.json_option
def add(method: str, sources: tuple[Path, ...], as_json: bool) -> None:
    """Check weight files that were got by hand, and put them where METHOD looks for them.

    Which file each is, its sha256 says, whatever it is called; 'sepbench weights list METHOD' says
    where to get them.

    \b
    sepbench weights add open-unmix ~/Downloads/*.pth
    """
    from sepbench.cli.console import fraction, say, show_json
    from sepbench.weights import files

    name, _ = parse_spec(method)
    wanted = weight_status.files_of(name)
    added = {}
    for source in sources:
        with fraction() as bar:
            task = bar.add_task(f"adding {source.name}", total=None)

            def advance(done: int, total: int | None, task: Any = task, bar: Any = bar) -> None:
                bar.update(task, completed=done, total=total)

            added[str(source)] = files.add(name, wanted, source, on_progress=advance)
        say(f"{added[str(source)]}: here, and as published")
    if as_json:
        show_json({source: str(path) for source, path in added.items()})


def _check_what_came_along(method: Method) -> None:
    """Raise `SepbenchError` for a method without weights, or with shipped ones that are damaged."""
    files = [(part, file) for part in method.parts() for file in part.declared.weight_files]
    if not files:
        raise SepbenchError(f"method {method.label} has no weights to fetch")
    for part, file in files:
        if file.path is not None and (
            (state := weight_status.state(part, file, read=True)) != "here"
        ):
            raise SepbenchError(
                f"{file.path}: {state} weights of {part.label}, which come with it and "
                "cannot be fetched; install its package again"
            )


def _here(method: Method) -> str:
    """Say that nothing had to be fetched, and why."""
    files = [(part, file) for part in method.parts() for file in part.declared.weight_files]
    if any(file.path is None for _, file in files):
        return f"{method.label}: is here"
    sources = [f"{file.path} ({weight_status.source(part, file)})" for part, file in files]
    return f"{method.label}: is here, nothing to fetch: {'; '.join(dict.fromkeys(sources))}"


def bring(method: Method, *, read: bool = False) -> list[Path]:
    """Fetch what a method, or one of its members, lacks of its weights, and say so.

    What is damaged comes anew only if what is here is ``read``. Returns the files that came. Raises
    `SepbenchError` for what cannot be fetched.
    """
    from sepbench.cli.console import fraction, say
    from sepbench.weights import files

    came = []
    for part in method.parts():
        separator = part.declared
        wanted = [file for file in separator.weight_files if file.url is not None]
        if all(weight_status.state(part, file, read=read) == "here" for file in wanted):
            continue
        sizes = [file.size for file in wanted]
        size = None if None in sizes else sum(filter(None, sizes))
        terms = ", ".join(sorted({file.terms for file in wanted}))
        about = f"{_files(len(wanted))}, {_megabytes(size)}, {terms}"
        say(f"fetching the weights of {part.label} ({about}) into {files.folder()}")
        with fraction() as bar:
            task = bar.add_task(f"fetching {part.label}", total=None)

            def advance(done: int, total: int | None, task: Any = task, bar: Any = bar) -> None:
                bar.update(task, completed=done, total=total)

            came += files.fetch_missing(separator, on_progress=advance)
    return came


def _present(rows: list[dict[str, Any]], as_json: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sepbench.cli.console import show, show_json

    if as_json:
        show_json(rows)
        return
    table = Table("method", "file", "size", "terms", "state", "from", box=None)
    for row in rows:
        size = _megabytes(row["size"])
        table.add_row(
            escape(row["method"]), row["file"], size, row["terms"], row["state"], row["from"]
        )
    show(table)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _megabytes(size: int | None) -> str:
    return f"{size / 1e6:.1f} MB" if size else "size unknown"


for _about_files in (import_, show, average, export):
    command.add_command(_about_files)
