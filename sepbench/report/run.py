"""Evaluation from Python: runs methods on tracks, and shows the results."""

from __future__ import annotations

import difflib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench._util import arguments
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record
from sepbench.evaluation.run import Done, RunConfig
from sepbench.evaluation.run import run as run_matrix
from sepbench.evaluation.selection import Selection
from sepbench.evaluation.store import Store
from sepbench.metrics.protocols import DEFAULT_PROTOCOL, PROTOCOLS, shown
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.stems import in_order

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sepbench.registry import Method


@dataclass(frozen=True)
class Run:
    """The scores of methods on tracks, stored in a folder. A notebook shows it as a table."""

    folder: Path

    @cached_property
    def _records(self) -> list[Record]:
        from sepbench.report.joining import separated

        return separated(Store.open(self.folder).records())[0]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """One row per track, method, stem, metric and protocol; see `sepbench.report.tables`."""
        from sepbench.report import tables

        return tables.scores(self._records)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per method, stem, metric, protocol and statistic over tracks."""
        from sepbench.report import tables

        return tables.summary(self._records)

    @property
    def failures(self) -> dict[tuple[str, str], str]:
        """The reason for each method and track without scores.

        A track has its subset in brackets where another subset has one of its name.
        """
        subsets = Counter(track for _, track in {record.song for record in self._records})
        return {
            (r.label, r.track if subsets[r.track] == 1 else f"{r.track} ({r.subset})"): r.error
            for r in self._records
            if r.error is not None
        }

    def table(self, protocol: str = DEFAULT_PROTOCOL) -> pd.DataFrame:
        """Return the first metric of a protocol: a row per method, a column per stem, best first.

        Raises `SepbenchError` for a protocol that is unknown or not in this run.
        """
        rules = find_protocol(protocol)
        rows = self.summary[
            (self.summary["protocol"] == protocol)
            & (self.summary["metric"] == shown(rules.metrics[0]))
            & (self.summary["statistic"] == rules.over_tracks[0])
        ]
        if rows.empty:
            raise SepbenchError(f"{self.folder}: no scores of protocol {protocol}")
        wide = rows.pivot_table(index="label", columns="stem", values="value", sort=False)
        stems = in_order(wide.columns)
        best_first: pd.DataFrame = wide[stems].sort_values(
            stems, ascending=False, key=lambda values: values.map(rules.goodness)
        )
        return best_first

    def plot(self, protocol: str = DEFAULT_PROTOCOL) -> Figure:
        """Return the boxplots of a protocol; raise `SepbenchError` if there are no scores."""
        from sepbench.report.boxplot import boxplot

        return boxplot(self.scores, protocol=protocol)

    def _repr_html_(self) -> str:
        try:
            body = self.table().to_html(float_format="{:.2f}".format, na_rep="", border=0)
        except SepbenchError as reason:
            body = f"<p>{reason}</p>"
        settings = Store.open(self.folder).settings
        rules = PROTOCOLS["sisec18"]
        failed = f"<p>{len(self.failures)} failures, see run.failures</p>" if self.failures else ""
        return f"<p><b>SDR in dB, {settings.default_name}</b><br>{rules.caption}</p>{body}{failed}"


def open_run(folder: str | Path) -> Run:
    """Open a run that ``sepbench evaluate`` or `evaluate` has written.

    Raises `SepbenchError` if there is none.
    """
    return Run(Store.open(arguments.path(folder, "folder")).folder)


def evaluate(
    methods: str | Sequence[str] = "all",
    dataset: str | Path = "excerpt",
    *,
    root: str | Path | None = None,
    subset: str = "test",
    tracks: str | Sequence[str] = (),
    start: float = 0.0,
    duration: float | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    **config: Any,
) -> Run:
    """Run methods on the tracks of a data set, score their stems, and return the run.

    Args:
        methods: ``"all"`` usable ones, one method, or a list such as ``["hpss[margin=2]"]``.
        dataset: a name, see ``sepbench data``, or a folder of songs.
        root: folder of the data set, if not at its usual path.
        subset: ``train``, ``valid``, ``test`` or ``all``.
        tracks: a name or glob, or a list of them; all tracks if empty.
        start, duration: the part of each track, in seconds.
        out: the folder of the run; ``results/DATASET`` if not given. Existing scores are kept,
            except those of tracks that were renamed since, with a warning.
        progress: whether to show a progress bar.
        config: the fields of `sepbench.evaluation.run.RunConfig`: ``metrics``, ``device``,
            ``devices``, ``jobs``, ``timeout``, ``isolate``, ``save_stems``.

    Raises:
        SepbenchError: for an unknown method, data set, track or metric. Failures of methods on
            tracks do not raise: see `Run.failures`.
    """
    resolved = _resolved(methods)
    data = str(arguments.path(dataset, "dataset"))
    place = None if root is None else arguments.path(root, "root")
    folder = None if out is None else arguments.path(out, "out")
    chosen = [] if tracks is None else arguments.names(tracks, "tracks")
    selection = Selection.of(data, place, subset, chosen, *_part(start, duration))
    plan = _plan(config)
    store = selection.open_run(folder, lambda note: warnings.warn(note, stacklevel=4))
    with _progress(len(selection.tracks) * len(resolved), is_shown=progress) as on_done:
        run_matrix(selection.tracks, resolved, store, plan, on_done=on_done)
    return Run(store.folder)


@contextmanager
def _progress(cells: int, *, is_shown: bool) -> Iterator[Callable[[Done], None]]:
    """Show a progress bar, and provide what it has to be told of each finished cell."""
    from rich.progress import Progress

    with Progress(transient=True, disable=not is_shown) as bar:
        task = bar.add_task("evaluate", total=cells)

        def on_done(done: Done) -> None:
            bar.update(task, advance=1, description=f"{done.record.label}  {done.record.track}")

        yield on_done


def _resolved(methods: str | Sequence[str]) -> list[Method]:
    """Return the methods of names, or for ``all`` those that can be used."""
    from sepbench import registry

    specs = arguments.names(methods, "methods")
    if specs == ["all"]:
        specs = [info.name for info in registry.plugins() if info.reason is None]
    if not specs:
        raise SepbenchError("no methods; name some, or give methods='all'")
    return registry.resolve_all(specs)


def _part(start: Any, duration: Any) -> tuple[float, float | None]:
    """Return the part of each track in seconds, as the command line gives it."""
    is_start = arguments.is_finite(start) and start >= 0
    if not (is_start and (duration is None or arguments.is_finite(duration, above=0))):
        raise SepbenchError(
            f"start={start!r}, duration={duration!r}: a part begins at 0 s or later and is longer "
            "than 0 s; None is the rest of each track"
        )
    return float(start), None if duration is None else float(duration)


def _plan(config: dict[str, Any]) -> RunConfig:
    """Return the settings of a run; raise `SepbenchError` for one that does not exist."""
    from sepbench.inference.runner import choose_device, choose_devices

    known = [field.name for field in fields(RunConfig)]
    if unknown := sorted(set(config) - set(known)):
        close = difflib.get_close_matches(unknown[0], known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"choose {', '.join(known)}"
        raise SepbenchError(f"evaluate has no argument {unknown[0]!r}; {cure}")
    checked = {**config, "device": str(choose_device(config.get("device", "auto")))}
    if several := arguments.names(config.get("devices", ()), "devices"):
        devices = choose_devices(several)
        checked |= {"device": devices[0], "devices": devices if len(devices) > 1 else ()}
    if "metrics" in config:
        checked["metrics"] = tuple(arguments.names(config["metrics"], "metrics"))
    return RunConfig(**checked)
