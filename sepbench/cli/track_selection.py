"""The options that select tracks of a data set, and the run of the selected tracks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from sepbench.cli import options

if TYPE_CHECKING:
    from sepbench.datasets.base import Dataset, Track
    from sepbench.evaluation.store import Store

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
        from sepbench.datasets import open_dataset
        from sepbench.datasets.selection import select

        name, root, subset = _named_or_folder(dataset, self.root, self.subset)
        data = open_dataset(name, root)
        return Selection(
            name, root, subset, self.start, self.duration, data, select(data, subset, self.patterns)
        )


@dataclass(frozen=True)
class Selection:
    """The tracks that a command works on."""

    dataset: str
    root: Path | None
    subset: str
    start: float
    duration: float | None
    data: Dataset
    tracks: list[Track]

    def open_run(self, out: Path | None) -> Store:
        """Open the run in ``out``, or in the default folder; a new one if there is none.

        Scores of tracks that were renamed since are removed with a warning.
        """
        from sepbench.cli.console import warn
        from sepbench.evaluation.renamed import forget_renamed
        from sepbench.evaluation.store import Settings, Store

        settings = Settings.of(self.dataset, self.root, self.subset, self.start, self.duration)
        store = Store.create(out or Path("results") / settings.default_name, settings)
        for line in forget_renamed(store, self.data.tracks(self.subset)):
            warn(line)
        return store


def _named_or_folder(dataset: str, root: Path | None, subset: str) -> tuple[str, Path | None, str]:
    """Return data set, root and subset, where a folder of songs may be given as the data set.

    The name of a data set takes precedence over a folder of the same name. A folder has no subsets,
    so that a ``--subset`` other than ``all`` is refused.
    """
    from sepbench.datasets.discovery import named_or_folder

    name, found = named_or_folder(dataset, root)
    source = click.get_current_context().get_parameter_source("subset")
    if found != root and source is not ParameterSource.DEFAULT and subset != "all":
        raise click.UsageError(f"--subset: {dataset} is a folder of songs without subsets")
    return name, found, subset
