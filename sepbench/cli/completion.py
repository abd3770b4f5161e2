"""Shell completion of methods and their options."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_method(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the methods that begin with the typed text, or the options after ``name[``.

    Only the method whose options are completed is imported.
    """
    from sepbench.errors import SepbenchError
    from sepbench.registry import plugin
    from sepbench.registry.discovery import names

    name, bracket, typed = incomplete.partition("[")
    if not bracket:
        return [CompletionItem(each) for each in names() if each.startswith(name)]
    try:
        separator = plugin(name).separator
    except SepbenchError:
        return []
    if separator is None:
        return []
    before, comma, last = typed.rpartition(",")
    return [
        CompletionItem(f"{name}[{before}{comma}{text}", help=about)
        for text, about in _options(separator.Options, last)
    ]


def _options(kind: type, typed: str) -> list[tuple[str, str]]:
    """Return completions of ``typed``: names of options, or values of one."""
    from sepbench.options import describe

    found = []
    name, equals, value = typed.partition("=")
    for option in describe(kind):
        if equals and option["name"] == name:
            values = [str(choice) for choice in option["choices"] or option["known"] or ()]
            found += [(f"{name}={each}", "") for each in values if each.startswith(value)]
        elif not equals and option["name"].startswith(name):
            found.append((f"{option['name']}=", option["help"]))
    return found
