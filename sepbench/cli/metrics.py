"""``sepbench metrics``: lists the installed metrics and their metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sepbench.cli import options
from sepbench.cli.completion import complete_metric
from sepbench.options import parse_spec
from sepbench.registry import metrics as registry

if TYPE_CHECKING:
    from sepbench.metrics.metric import SetMetric

_DIRECTIONS = {True: "higher is better", False: "lower is better", None: "nearer to 0 is better"}


@click.command("metrics")
@click.argument(
    "name", required=False, metavar="[NAME[opt=value,...]]", shell_complete=complete_metric
)
@options.json_option
def command(name: str | None, as_json: bool) -> None:
    """List the installed metrics, or describe one of them.

    \b
    sepbench metrics
    sepbench metrics sdr
    sepbench evaluate --all --metric spectral
    """
    described = [_describe(info) for info in registry.metrics()] if name is None else [_one(name)]
    if as_json:
        from sepbench.cli.console import show_json

        show_json(described if name is None else described[0])
    elif name is None:
        _show_all(described)
    else:
        _show_one(described[0])


def _one(spec: str) -> dict[str, Any]:
    """Describe a metric, with some of its options if they are given."""
    name, values = parse_spec(spec, kind="metric")
    info = registry.metric(name)
    return _describe(info, registry.resolve_metrics([spec])[-1] if values else None)


def _describe(info: registry.MetricInfo, metric: SetMetric | None = None) -> dict[str, Any]:
    """Return the metadata of a metric, with its default options if ``metric`` is None."""
    if info.metric is None or info.reason is not None:
        return {"name": info.name, "available": False, "reason": info.reason}
    facts = registry.metric_facts(metric or info.metric(), info.distribution)
    return {**facts, "available": True, "reason": None}


def _show_all(described: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sepbench.cli.console import show

    table = Table("metric", "groups", "unit", "better", "what it measures", box=None)
    for facts in described:
        if facts["available"]:
            better = _DIRECTIONS[facts["higher_is_better"]].removesuffix(" is better")
            groups = " ".join(facts["groups"])
            table.add_row(facts["name"], groups, facts["unit"], better, escape(facts["summary"]))
        else:
            reason = escape(f"not available: {facts['reason']}")  # extras stand in brackets
            table.add_row(facts["name"], "", "", "", reason)
    show(table)


def _show_one(facts: dict[str, Any]) -> None:
    click.echo(facts["name"])
    if not facts["available"]:
        click.echo(f"  not available: {facts['reason']}")
        return
    rate = facts["sample_rate"]
    lines = {
        "": facts["summary"],
        "scores": ", ".join([*facts["totals"], *(f"{x} by window" for x in facts["frames"])]),
        "unit": facts["unit"] or "none",
        "direction": _DIRECTIONS[facts["higher_is_better"]],
        "silence": facts["silence"],
        "rate": f"{rate} Hz; other rates are resampled" if rate else "any",
        "groups": ", ".join([*facts["groups"], registry.ALL]),
        "protocols": ", ".join(facts["protocols"]),
        "source": facts["source"],
        "checked": "; ".join(golden["source"] for golden in facts["golden"]),
        "license": facts["license"],
        "from": facts["distribution"],
    }
    for key, value in lines.items():
        if value:
            click.echo(f"  {key + ':' if key else '':12}{value}" if key else f"  {value}")
    for opt in facts["options"]:
        click.echo(f"option {facts['name']}[{opt['name']}={opt['default']}]  {opt['help']}")
