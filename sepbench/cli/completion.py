"""Shell completion of methods and their options, and of the names of metrics and data sets."""

from __future__ import annotations

from collections.abc import Iterable

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


def complete_metric(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the metrics and groups of metrics that begin with the typed text."""
    from sepbench._util import entry_points
    from sepbench.registry.metrics import METRIC_GROUP, groups

    return _beginning(incomplete, [*groups(), *sorted(entry_points.find(METRIC_GROUP))])


def complete_protocol(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the protocols, and the metrics with one of their own, that begin with the typed text.

    Only metrics that begin so are imported.
    """
    from sepbench.registry.metrics import protocol_names

    return _beginning(incomplete, protocol_names(incomplete))


def complete_dataset(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the data sets that begin with the typed text."""
    from sepbench._util import entry_points
    from sepbench.datasets.discovery import GROUP

    return _beginning(incomplete, sorted(entry_points.find(GROUP)))


def _beginning(typed: str, names: Iterable[str]) -> list[CompletionItem]:
    found = dict.fromkeys(name for name in names if name.startswith(typed))
    return [CompletionItem(name) for name in found]


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
