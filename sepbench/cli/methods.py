"""``sepbench methods``: lists the installed methods and their metadata."""

from __future__ import annotations

from typing import Any

import click

from sepbench import registry
from sepbench.cli import options
from sepbench.cli.completion import complete_method
from sepbench.errors import SepbenchError
from sepbench.options import parse_spec
from sepbench.registry.metadata import overview


@click.command("methods")
@click.argument("name", required=False, shell_complete=complete_method)
@click.option("--layers", is_flag=True, help="Show the layers of a trained method's network.")
@options.json_option
def command(name: str | None, layers: bool, as_json: bool) -> None:
    """List the installed separators, or describe one of them.

    The last line names separators that cannot be used; -v says why.

    \b
    sepbench methods hpss
    sepbench methods 'command[preset=demucs]'
    sepbench methods unet --layers
    """
    if layers:
        if as_json:
            raise click.UsageError("--layers prints a table of text; leave --json out")
        click.echo(_layers(name))
        return
    described = [*map(overview, registry.plugins())] if name is None else _one(name)
    if as_json:
        from sepbench.cli.console import show_json

        show_json(described if name is None else described[0])
    elif name is None:
        _show_all(described)
    else:
        _show_one(described[0])


def _layers(name: str | None) -> str:
    """Return the table of layers of one method."""
    if name is None:
        raise click.UsageError("--layers shows the network of one method; give its NAME")
    methods = registry.resolve(name)
    separator = methods[0].create()
    if not hasattr(separator, "layers"):
        raise SepbenchError(f"method {name}: has no network trained with 'sepbench train'")
    return str(separator.layers())


def _one(name: str) -> list[dict[str, Any]]:
    """Describe the method ``name``, which may have options in brackets."""
    bare, options = parse_spec(name)
    if not options:
        return [overview(registry.plugin(bare))]
    methods = registry.resolve(name)
    if len(methods) > 1:
        raise SepbenchError(f"{name!r}: means {len(methods)} methods; give each option one value")
    reason = registry.lacking(methods[0])
    return [{**registry.describe(methods[0]), "available": reason is None, "reason": reason}]


def _show_all(described: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sepbench.cli.console import is_detailed, show

    table = Table("method", "stems", "rate", "trained", "what it does", box=None)
    for facts in described:
        if facts["available"]:
            cells = (
                facts["name"],
                " ".join(facts["stems"]),
                _rate(facts),
                _trained(facts["trained_on"]),
                facts["summary"],
            )
        elif is_detailed():
            cells = (facts["name"], "", "", "", f"not available: {facts['reason']}")
        else:
            continue
        table.add_row(*map(escape, cells))  # extras, and a plugin's text, may have brackets
    show(table)
    lacking = [facts["name"] for facts in described if not facts["available"]]
    if lacking and not is_detailed():
        click.echo(f"not usable yet: {', '.join(lacking)} (-v shows what they need)")


def _show_one(facts: dict[str, Any]) -> None:
    click.echo(facts.get("label", facts["name"]))
    if not facts["available"]:
        click.echo(f"  not available: {facts['reason']}")
    if "stems" in facts:
        _show_facts(facts)
    if facts.get("options"):
        click.echo(f"options, written {facts['name']}[option=value,...]:")
    for opt in facts.get("options", ()):
        bare = "; written first, its name may be left out" if opt["unnamed"] else ""
        click.echo(f"  {opt['name']}={opt['default']}  {opt['help']}{bare}{_limits(opt)}")


def _show_facts(facts: dict[str, Any]) -> None:
    context = facts["context"]
    lines = {
        "": facts["summary"],
        **({"members": ", ".join(facts["members"])} if facts["members"] else {}),
        "stems": ", ".join(facts["stems"]),
        "rate": _rate(facts),
        "channels": {None: "any, together", 1: "one by one", 2: "stereo"}[facts["channels"]],
        "memory": "needs the whole song" if context is None else "bounded, whatever the length",
        "runs in": "evaluate only (it needs the true stems)" if facts["oracle"] else "all commands",
        "trained on": ", ".join(facts["trained_on"]) or "nothing: no training",
        "license": facts["license"],
        "source": facts["citation"],
        **({"needs": ", ".join(facts["needs"])} if facts["needs"] else {}),
        **({"version": version} if (version := facts["provenance"].get("version")) else {}),
        "from": facts["distribution"],
    }
    for key, value in lines.items():
        click.echo(f"  {key + ':' if key else '':12}{value}" if key else f"  {value}")


def _trained(on: list[str]) -> str:
    from sepbench.separator import UNKNOWN_TRAINING

    if tuple(on) == UNKNOWN_TRAINING:
        return "unknown"
    return "yes" if on else "no"


def _rate(facts: dict[str, Any]) -> str:
    return f"{facts['sample_rate']} Hz" if facts["sample_rate"] else "any"


def _limits(opt: dict[str, Any]) -> str:
    if opt["choices"]:
        return f" (one of {', '.join(filter(None, map(str, opt['choices'])))})"
    if opt["known"]:
        return f" (known: {', '.join(map(str, opt['known']))})"
    low, high = opt["minimum"], opt["maximum"]
    if low is None and high is None:
        return ""
    if high is None:
        return f" (at least {low:g})"
    return f" (at most {high:g})" if low is None else f" ({low:g} to {high:g})"
