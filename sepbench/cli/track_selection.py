"""The options that select tracks of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from sepbench.cli import options

if TYPE_CHECKING:
    from sepbench.evaluation.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--root", type=options.PATH, help="Folder of the data set."),
    click.option("--subset", default="test", show_default=True, help="train, valid, test or all."),
    click.option("--track", "patterns", multiple=True, metavar="GLOB", help="Only these tracks."),
    options.start_option,
    options.duration_option,
)


def track_options(command: F) -> F:
    """Add the options that select tracks and a part of them, passed as one ``choice``."""
    return options.as_one_choice(command, _OPTIONS, lambda: TrackChoice)


@dataclass(frozen=True)
class TrackChoice:
    """The values of `track_options`; ``start`` and ``duration`` are in seconds."""

    root: Path | None
    subset: str
    patterns: tuple[str, ...]
    start: float
    duration: float | None

    def select(self, dataset: str) -> Selection:
        """Return the selected tracks of a data set, or of a folder of songs given in its place."""
        from sepbench.evaluation.selection import Selection

        self._refuse_subset(dataset)
        return Selection.of(
            dataset, self.root, self.subset, self.patterns, self.start, self.duration
        )

    def _refuse_subset(self, dataset: str) -> None:
        """Refuse a ``--subset`` other than ``all`` for a folder of songs, which has no subsets."""
        from sepbench.datasets.discovery import named_or_folder

        _, found = named_or_folder(dataset, self.root)
        source = click.get_current_context().get_parameter_source("subset")
        is_given = source is not ParameterSource.DEFAULT
        if found != self.root and is_given and self.subset != "all":
            raise click.UsageError(f"--subset: {dataset} is a folder of songs without subsets")
