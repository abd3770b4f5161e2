"""``sepbench weights``: lists, fetches, checks and converts weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench._util.text import counted
from sepbench.cli import options
from sepbench.cli.completion import complete_method
from sepbench.cli.weight_files import average, export, import_, show
from sepbench.errors import SepbenchError
from sepbench.options import parse_spec
from sepbench.registry import weight_status

if TYPE_CHECKING:
    from sepbench.registry import Method

_methods = click.argument(
    "specs", nargs=-1, metavar="[METHOD[opt=value,...]...]", shell_complete=complete_method
)


@click.group("weights", short_help="List, fetch, verify and convert weight files.")
def command() -> None:
    """List, fetch, verify and convert the weights of trained methods.

    \b
    sepbench weights list
    sepbench weights fetch open-unmix 'demucs[model=htdemucs_ft]'

    Fetched files are kept in a cache folder, or in that of the environment variable SEPBENCH_CACHE.
    """


@command.command("list", short_help="List the weight files of methods.")
@_methods
@options.json_option
def list_(specs: tuple[str, ...], as_json: bool) -> None:
    """List the weight files of all or some methods: size, license, and whether they are here."""
    _present(list(weight_status.weight_status(specs)), specs, as_json)


@command.command("verify", short_help="Check the sha256 of weight files.")
@_methods
@options.json_option
def verify(specs: tuple[str, ...], as_json: bool) -> None:
    """Check the sha256 of weight files; fails if one is damaged, or a named one is missing.

    The expected hash is the published one. If only its first digits were published, it is the hash
    at download. Your own weights, METHOD[weights=FILE], contain their hash.
    """
    rows = list(weight_status.weight_status(specs, read=True))
    _present(rows, specs, as_json)
    bad = {"damaged", "missing"} if specs else {"damaged"}
    if any(row["state"] in bad for row in rows):
        click.get_current_context().exit(1)


@command.command("path", short_help="Print the paths of weight files.")
@_methods
@options.json_option
def path(specs: tuple[str, ...], as_json: bool) -> None:
    """Print the paths of the weight files of methods; without METHOD, the cache folder."""
    from sepbench.cli.console import show_json
    from sepbench.weights import files

    found = [str(files.folder())]
    if specs:
        found = [row["path"] for row in weight_status.weight_status(specs)]
    if as_json:
        show_json(found)
        return
    for place in found:
        click.echo(place)
    _say_without_files(specs)


@command.command("fetch")
@click.argument(
    "specs",
    nargs=-1,
    required=True,
    metavar="METHOD[opt=value,...]...",
    shell_complete=complete_method,
)
@options.json_option
def fetch(specs: tuple[str, ...], as_json: bool) -> None:
    """Download the weights of methods into the cache.

    An interrupted download is resumed. Files copied by hand to the path that 'sepbench weights path
    METHOD' prints are used too.
    """
    from sepbench import registry
    from sepbench.cli.console import fail, say, show_json

    done: list[dict[str, Any]] = []
    failures = 0
    methods = registry.resolve_all(specs)
    for method in methods:
        try:
            _check_included(method)
            came = fetch_missing(method, read=True)
        except SepbenchError as error:
            if len(methods) == 1:
                raise
            failures += 1
            fail(str(error))
            done.append({"method": method.label, "error": str(error)})
        else:
            say(
                f"{method.label}: {counted(len(came), 'file')} fetched"
                if came
                else _nothing_to_fetch(method)
            )
            done.append({"method": method.label, "fetched": [str(file) for file in came]})
    if as_json:
        show_json(done)
    if failures:
        click.get_current_context().exit(1)


@command.command("add", short_help="Add weight files downloaded by hand.")
@click.argument("method", metavar="METHOD", shell_complete=complete_method)
@click.argument("sources", type=options.PATH, nargs=-1, required=True, metavar="FILE...")
@options.json_option
def add(method: str, sources: tuple[Path, ...], as_json: bool) -> None:
    """Check weight files downloaded by hand, and copy them to where METHOD looks for them.

    Files are recognised by their sha256, whatever their name; 'sepbench weights list METHOD' shows
    where to get them.

    \b
    sepbench weights add open-unmix ~/Downloads/*.pth
    """
    from sepbench import registry
    from sepbench.cli.console import fraction, say, show_json
    from sepbench.weights import files

    name, values = parse_spec(method)
    if values:
        registry.resolve(method)  # Raises for an option that it does not have.
    wanted = weight_status.files_of(name)
    added = {}
    for source in sources:
        with fraction() as bar:
            task = bar.add_task(f"adding {source.name}", total=None)

            def advance(done: int, total: int | None, task: Any = task, bar: Any = bar) -> None:
                bar.update(task, completed=done, total=total)

            added[str(source)] = files.add(name, wanted, source, on_progress=advance)
        say(f"{added[str(source)]}: in place, its hash is as published")
    if as_json:
        show_json({source: str(path) for source, path in added.items()})


def _check_included(method: Method) -> None:
    """Raise `SepbenchError` for a method without weights, or with damaged included ones."""
    files = [(part, file) for part in method.parts() for file in part.declared.weight_files]
    if not files:
        raise SepbenchError(f"method {method.label} has no weights to fetch")
    for part, file in files:
        if file.path is not None and (
            (state := weight_status.state(part, file, read=True)) != "here"
        ):
            raise SepbenchError(
                f"{file.path}: {state} weights of {part.label}, which are part of its package and "
                "cannot be fetched; install its package again"
            )


def _nothing_to_fetch(method: Method) -> str:
    """Return a line that says that nothing had to be fetched, and why."""
    files = [(part, file) for part in method.parts() for file in part.declared.weight_files]
    if any(file.path is None for _, file in files):
        return f"{method.label}: is here"
    sources = [f"{file.path} ({weight_status.source(part, file)})" for part, file in files]
    return f"{method.label}: is here, nothing to fetch: {'; '.join(dict.fromkeys(sources))}"


def fetch_missing(method: Method, *, read: bool = False) -> list[Path]:
    """Fetch missing weights of a method and its members, and report them.

    Damaged files are fetched again only if existing files are ``read``. Returns the fetched files.
    Raises `SepbenchError` if a download fails.
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
        about = f"{counted(len(wanted), 'file')}, {_megabytes(size)}, {terms}"
        say(f"fetching the weights of {part.label} ({about}) into {files.folder()}")
        with fraction() as bar:
            task = bar.add_task(f"fetching {part.label}", total=None)

            def advance(done: int, total: int | None, task: Any = task, bar: Any = bar) -> None:
                bar.update(task, completed=done, total=total)

            came += files.fetch_missing(separator, on_progress=advance)
    return came


def _say_without_files(specs: Sequence[str]) -> None:
    """Say of each named method without weight files whether it needs any."""
    from sepbench import registry
    from sepbench.cli.console import say

    for method in registry.resolve_all(specs):
        if any(part.declared.weight_files for part in method.parts()):
            continue
        if method.declared.trained_on:
            say(
                f"{method.label}: sepbench keeps no weight files of it; its options name them, or "
                f"the program that has them: 'sepbench methods {method.name}'"
            )
        else:
            say(f"{method.label}: needs no weights")


def _present(rows: list[dict[str, Any]], specs: Sequence[str], as_json: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sepbench.cli.console import show, show_json

    if as_json:
        show_json(rows)
        return
    _say_without_files(specs)
    if not rows:
        return
    table = Table("method", "file", "size", "terms", "state", "from", box=None)
    for row in rows:
        size = _megabytes(row["size"])
        cells = (row["method"], row["file"], size, row["terms"], row["state"], row["from"])
        table.add_row(*map(escape, cells))
    show(table)


def _megabytes(size: int | None) -> str:
    return f"{size / 1e6:.1f} MB" if size else "size unknown"


for _about_files in (import_, show, average, export):
    command.add_command(_about_files)
