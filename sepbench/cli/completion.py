"""Completion of methods and their options, for the shells that click knows."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete_method(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the methods that begin with what is typed, or the options after ``name[``.

    Only the method whose options are wanted is imported.
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
    """Return what may stand where ``typed`` does: an option's name, or one of its values."""
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
