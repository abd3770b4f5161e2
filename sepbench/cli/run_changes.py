"""What ``report`` changes in runs before it reads them: imported scores, forgotten failures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sepbench.options import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sepbench.evaluation.store import Store


def opened(runs: Sequence[Path], imports: tuple[str, ...]) -> list[Store]:
    """Open runs, after museval's scores were imported into the first."""
    from sepbench.evaluation.store import Store

    if imports:
        _import(runs[0], imports)
    return [Store.open(run) for run in runs]


def forget_failures(stores: Sequence[Store], patterns: Sequence[str]) -> None:
    """Remove the failures of methods whose names match a pattern.

    Raises `SepbenchError` if there are patterns, but none of such methods.
    """
    from sepbench._util.text import counted, matches
    from sepbench.cli.console import say
    from sepbench.errors import SepbenchError

    if not patterns:
        return
    failed = {path: one.label for store in stores for path, one in store.failures().items()}
    chosen = {
        path: label
        for path, label in failed.items()
        if any(matches(label, pattern) for pattern in patterns)
    }
    if not chosen:
        there = ", ".join(sorted(set(failed.values()))) or "none"
        raise SepbenchError(
            f"{stores[0].folder}: no failures of {', '.join(patterns)}; those that failed: {there}"
        )
    for path in chosen:
        path.unlink(missing_ok=True)
    names = ", ".join(sorted(set(chosen.values())))
    say(f"forgotten: {counted(len(chosen), 'failure')} of {names}")


def _name_and_path(text: str) -> tuple[str, str]:
    """Return both sides of the first ``=`` that is not in the brackets of a method's options.

    >>> _name_and_path("unet[wiener=0]=museval/unet")
    ('unet[wiener=0]', 'museval/unet')
    """
    name, *rest = split(text, "=")
    if not rest:  # A bracket that is not closed is a letter of the name.
        name, *rest = text.split("=")
    return name, "=".join(rest)


def _import(run: Path, imports: tuple[str, ...]) -> None:
    """Import museval's scores, given as NAME=PATH, with a progress bar."""
    from sepbench.cli.console import counting
    from sepbench.report.importing import import_scores

    systems: dict[str, list[Path]] = {}
    for text in imports:
        name, path = _name_and_path(text)
        if not (name.strip() and path.strip()):
            raise click.UsageError(f"--import {text}: write it as NAME=PATH")
        systems.setdefault(name, []).append(Path(path))
    with counting() as bar:
        task = bar.add_task("importing", total=None)
        import_scores(
            run,
            systems,
            lambda record, total: bar.update(
                task, advance=1, total=total, description=f"{record.label}  {record.track}"
            ),
        )
