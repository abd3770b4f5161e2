"""The methods of ``sepbench separate``: chosen by name or by a preset, and usable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from sepbench.errors import MethodError, SepbenchError

if TYPE_CHECKING:
    from sepbench.inference.presets import Chosen
    from sepbench.registry import Method


def choose(
    specs: tuple[str, ...], preset: str | None, both: bool, how: dict[str, Any]
) -> tuple[tuple[str, ...], Chosen | None]:
    """Return the methods to use and, if a preset or the default chose them, its choice.

    Sets the stems in ``how``.
    """
    from sepbench.inference import presets

    if how["stems"] and how["two_stems"]:
        raise click.UsageError("give --stem or --two-stems, not both")
    if preset is None:
        if both:
            raise click.UsageError("--both goes with --preset; take --two-stems STEM")
        if specs:
            return specs, None
        chosen = presets.choose_default([*how["stems"], *filter(None, [how["two_stems"]])])
        return (chosen.choice.spec,), chosen
    if specs or how["stems"]:
        raise click.UsageError("--preset chooses method and stem; leave --method and --stem out")
    chosen = presets.choose(preset)
    if both and how["two_stems"]:
        raise click.UsageError("--both takes the stem of --preset; leave --two-stems out")
    if both:
        how["two_stems"] = chosen.choice.stem
    elif not how["two_stems"]:
        how["stems"] = (chosen.choice.stem,)
    return (chosen.choice.spec,), chosen


def unusable(methods: Sequence[Method]) -> dict[str, str]:
    """Report methods that cannot be used, such as one with a wrong card; return why, by label.

    Raises `SepbenchError` if there is one method only.
    """
    from sepbench import registry
    from sepbench.cli.console import fraction

    with fraction() as bar:
        bar.add_task("checking the methods", total=None)
        faults = registry.why_unusable(methods)
    return _reported(methods, faults, alone=len(methods) == 1)


def without_weights(methods: Sequence[Method], *, alone: bool) -> dict[str, str]:
    """Fetch missing weights; report the methods whose weights cannot be fetched, and return why.

    Raises `SepbenchError` if the method is ``alone``.
    """
    from sepbench.cli.weights import fetch_missing

    faults = {}
    for method in methods:
        try:
            fetch_missing(method)
        except SepbenchError as error:
            faults[method.label] = error
    return _reported(methods, faults, alone=alone)


def _reported(
    methods: Sequence[Method], faults: Mapping[str, SepbenchError], *, alone: bool
) -> dict[str, str]:
    from sepbench.cli.console import fail

    lines = {}
    for method in methods:
        if (error := faults.get(method.label)) is not None:
            if alone:
                raise error
            lines[method.label] = str(MethodError(method.label, method.reason(error)))
            fail(lines[method.label])
    return lines


def explain(preset: str | None, chosen: Chosen | None) -> dict[str, Any]:
    """Print which method a preset chose and why, if one did; return the same for JSON."""
    from sepbench.cli.console import is_detailed, say

    if chosen is None:
        return {}
    purpose = preset or "no --method"
    what = f"{chosen.choice.stem} by {chosen.method.label}"
    say("; ".join(filter(None, [f"{purpose}: {what}", chosen.choice.why])))
    passed_over = chosen.passed_over
    if is_detailed():
        for spec, reason in passed_over.items():
            say(f"  {spec} is preferred, but {reason}")
    elif passed_over:
        say(f"  not here: {', '.join(passed_over)} (-v says why)")
    about = {"why": chosen.choice.why, "passed_over": passed_over}
    return about if preset is None else {"preset": preset, **about}
