"""``sepbench compare``: statistical comparison of methods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sepbench.cli import options

if TYPE_CHECKING:
    from sepbench.report.compare import Comparison
    from sepbench.report.gate import Verdict
    from sepbench.report.merge import Merged

_MOST_FARTHEST = 3
"""Tracks that are named at each end."""


@click.command("compare", short_help="Say which methods are better, by how much, how surely.")
@click.argument("runs", type=options.PATH, metavar="RUN...", nargs=-1, required=True)
@click.option(
    "-m", "--method", "methods", multiple=True, metavar="GLOB", help="Only these.  [default: all]"
)
@click.option(
    "--baseline",
    metavar="METHOD",
    help="Compare with this one.  [default: the best of those with most tracks]",
)
@click.option("--stem", "stems", multiple=True, help="Only these stems.")
@click.option("--metric", help="Such as SDR or SIR.  [default: the protocol's first]")
@options.protocol_option
@click.option(
    "--rope",
    type=options.Number(min=0),
    metavar="NUMBER",
    help="Differences up to this count as equal.  [default: 0.1 dB; 0 in other units]",
)
@click.option(
    "--fail-below",
    "floors",
    multiple=True,
    metavar="'METHOD STEM METRIC NUMBER'",
    help="Exit with 1 if the score is lower than NUMBER, with 95 % confidence.",
)
@click.option(
    "--fail-worse",
    "margin",
    type=options.Number(min=0),
    metavar="DB",
    help="Exit with 1 if a method of the second RUN is worse than in the first by more than this.",
)
@click.option("--strict", is_flag=True, help="Fail even if the value is not significant.")
@click.option(
    "-o", "--out", type=options.PATH, help="Folder of the pictures.  [default: first RUN/compare]"
)
@options.json_option
def command(
    runs: tuple[Path, ...],
    floors: tuple[str, ...],
    margin: float | None,
    strict: bool,
    out: Path | None,
    as_json: bool,
    **how: Any,
) -> None:
    """Say which methods of RUN (or of several) are better, by how much, and how surely.

    \b
    sepbench compare results/musdb18-test --baseline unet --stem vocals
    sepbench compare results/old results/new --fail-worse 0.1

    Differences are taken track by track. For each method: the difference to the baseline with its
    95 % interval, the p-value of Wilcoxon's signed-rank test corrected for the number of methods,
    the share of tracks won, and the odds of being worse, equal or better. -v names the tracks on
    which each is farthest below the baseline, and above; --json has the differences of all tracks.
    Several runs are compared on their common tracks; parts of one run (--shard) are joined.
    """
    from sepbench.cli.console import say, show_json, warn, working
    from sepbench.errors import SepbenchError

    gated = bool(floors) or margin is not None
    folder = out or runs[0] / "compare"
    with working() as on_step:
        on_step("reading scores")
        from sepbench.report import compare, compare_pictures
        from sepbench.report.merge import merge

        merged = merge(runs, parts=margin is None)
        for remark in merged.remarks:
            warn(remark)
        on_step("comparing")
        try:
            found = compare.compare(merged.records, **how)
        except SepbenchError as error:
            if not gated:
                raise
            warn(str(error))
            found = []
        verdicts = _judge(runs, merged, floors, margin, strict, how)
        on_step("drawing pictures")
        files = [path for each in found for path in compare_pictures.save(each, folder)]
    if as_json:
        show_json(_plain(found, verdicts, files, merged.remarks))
    else:
        for each in found:
            _show(each)
        for verdict in verdicts:
            click.echo(_line(verdict))
        say(f"{len(files)} pictures written to {folder}")
    if any(verdict.failed for verdict in verdicts):
        click.get_current_context().exit(1)


def _judge(
    runs: tuple[Path, ...],
    merged: Merged,
    floors: tuple[str, ...],
    margin: float | None,
    strict: bool,
    how: dict[str, Any],
) -> list[Verdict]:
    from sepbench.report import gate
    from sepbench.report.merge import contents

    protocol: str = how["protocol"]
    if margin is not None and len(runs) != 2:
        raise click.UsageError("--fail-worse needs two runs: the old one, then the new one")
    wanted = [gate.Floor.parse(text) for text in floors]
    verdicts: list[Verdict] = []
    if margin is not None:
        (_, old, _), (_, new, _) = (contents(run) for run in runs)
        verdicts = gate.worse(
            old,
            new,
            margin,
            protocol=protocol,
            metric=how["metric"],
            stems=how["stems"],
            methods=how["methods"],
            strict=strict,
            more_tests=len(wanted),
        )
    tests = len(wanted) + len(verdicts)
    records = merged.records if len(runs) == 1 or merged.are_parts else contents(runs[-1])[1]
    return verdicts + gate.below(records, wanted, protocol=protocol, strict=strict, tests=tests)


def _show(each: Comparison) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sepbench._util.text import printable
    from sepbench.cli.console import is_detailed, show
    from sepbench.report.compare import SIGNIFICANT

    unit = f" in {each.protocol.unit}" if each.protocol.unit else ""
    click.echo(
        f"\n{each.stem}: {each.metric}{unit}, protocol {each.protocol.id}, {each.protocol.better}"
    )
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("method", vertical="bottom")
    headings = "score|95 %|tracks|difference|95 %|p (Holm)|won|worse equal better"
    for heading in headings.split("|"):
        table.add_column(heading, justify="right", no_wrap=True)
    by_label = {one.label: one for one in each.differences}
    for label, figure in each.figures.items():
        cells = [f"{figure:.2f}", _span(each.intervals[label])]
        one = by_label.get(label)
        if one is None:
            cells += [str(each.scores[label].notna().sum()), "baseline", "", "", "", ""]
        elif not one.tracks:
            cells += ["0", "-", "", "-", "-", "-"]  # No track in common with the baseline.
        else:
            p = "-" if one.p_holm != one.p_holm else f"{one.p_holm:.2g}"
            odds = "-" if one.p != one.p else " ".join(f"{100 * share:3.0f}%" for share in one.odds)
            sure = "[bold]" if one.p_holm < SIGNIFICANT else ""
            cells += [
                str(one.tracks),
                f"{sure}{one.value:+.2f}{'[/]' if sure else ''}",
                _span(one.interval),
                p,
                f"{one.won:.0%}",
                odds,
            ]
        table.add_row(escape(label), *cells)
    show(table)
    if is_detailed():
        for line in _farthest(each):
            click.echo(printable(line))
    for group in each.groups:
        click.echo(f"cannot be told apart: {', '.join(group)}")
    for remark in each.remarks:
        click.echo(remark)


def _farthest(each: Comparison) -> Iterator[str]:
    """Yield a line with the worst and the best tracks of each method against the baseline."""
    for one in each.differences:
        tracks = [f"{track} {value:+.2f}" for _, track, value in each.by_track(one.label)]
        half = min(_MOST_FARTHEST, len(tracks) // 2)
        if half:
            worst, best = ", ".join(tracks[:half]), ", ".join(tracks[: -half - 1 : -1])
            yield f"{one.label}: worst on {worst}; best on {best}"


def _span(ends: tuple[float, float]) -> str:
    return "" if ends[0] != ends[0] else f"{ends[0]:.2f}..{ends[1]:.2f}"


def _line(verdict: Verdict) -> str:
    state = "FAIL" if verdict.failed else "open" if verdict.reason else "pass"
    value = f"{verdict.value:+.2f}" if verdict.tracks else ""
    if span := _span(verdict.interval):
        value += f" [{span}]"
    return "  ".join(filter(None, [state, verdict.condition, value, verdict.reason]))


def _plain(
    found: list[Comparison], verdicts: list[Verdict], files: list[Path], remarks: list[str]
) -> dict[str, Any]:
    comparisons = [
        {
            "stem": each.stem,
            "metric": each.metric,
            "protocol": each.protocol.id,
            "statistic": each.protocol.over_tracks[0],
            "baseline": each.baseline,
            "methods": [
                {
                    "label": label,
                    "value": value,
                    "interval": list(each.intervals[label]),
                    "rank": each.ranks.get(label),
                }
                for label, value in each.figures.items()
            ],
            "differences": [
                {
                    **vars(one),
                    "interval": list(one.interval),
                    "odds": one.odds._asdict(),
                    "by_track": [
                        {"subset": subset, "track": track, "value": value}
                        for subset, track, value in each.by_track(one.label)
                    ],
                }
                for one in each.differences
            ],
            "groups": [list(group) for group in each.groups],
            "remarks": each.remarks,
        }
        for each in found
    ]
    return {
        "comparisons": comparisons,
        "verdicts": [{**vars(one), "interval": list(one.interval)} for one in verdicts],
        "files": [str(path) for path in files],
        "remarks": remarks,
    }
