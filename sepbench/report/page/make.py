"""Makes the page of a run, with the sounds that it has or that are separated anew for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sepbench import registry
from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError
from sepbench.evaluation import run
from sepbench.evaluation.run import RunConfig
from sepbench.evaluation.store import Record, Store
from sepbench.report.build import Report
from sepbench.report.page.excerpts import Excerpt, choose
from sepbench.report.page.write import Page, kept_excerpts, missing_stems, write_page

MOST_TRACKS = 5
"""Tracks to listen to where the stems of more were kept and no number was asked for."""

Step = Callable[[str], None]


def make_page(
    store: Store,
    report: Report,
    *,
    protocol: str,
    tracks: Sequence[Track],
    listen: int | None = None,
    plan: RunConfig | None = None,
    command: str = "",
    on_step: Step = lambda what: None,
) -> Page:
    """Write the page of a run; return where it is and what it lacks.

    With ``listen`` the songs on which methods differ most, so many of them, are separated by the
    methods whose stems the run has not kept, and those are then kept. Without it, stems that are
    there are used. ``tracks`` are those of the data set, empty where it is not here.
    """
    records = store.records()
    remarks: list[str] = []
    if listen is None:
        excerpts = kept_excerpts(store, records, MOST_TRACKS) if tracks else []
    else:
        excerpts = choose(records, listen)
        remarks = _separate(store, records, excerpts, tracks, plan or RunConfig(), on_step)
    page = write_page(
        store,
        report,
        protocol=protocol,
        tracks=tracks,
        excerpts=excerpts,
        command=command,
        on_clip=on_step,
    )
    return replace(page, remarks=[*remarks, *page.remarks])


def _separate(
    store: Store,
    records: Sequence[Record],
    excerpts: Sequence[Excerpt],
    tracks: Sequence[Track],
    plan: RunConfig,
    on_step: Step,
) -> list[str]:
    """Separate songs again whose stems are missing, as the evaluation did; return what failed."""
    wanted = {(excerpt.subset, excerpt.track) for excerpt in excerpts}
    chosen = [track for track in tracks if (track.subset, track.name) in wanted]
    methods, remarks = [], []
    for label in sorted(missing_stems(store, records, excerpts)):
        try:
            methods += registry.resolve(label)
        except SepbenchError as error:
            remarks.append(f"{label}: no audio: {error}")
    if not (methods and chosen):
        return remarks
    # The same scores again, so that none gets lost when the records are written anew.
    metrics = {name for record in records for name in record.identity.get("metrics", ())}
    again = replace(
        plan, save_stems=True, shard=None, metrics=tuple(sorted(metrics)) or plan.metrics
    )
    run.run(
        chosen,
        methods,
        store,
        again,
        on_done=lambda done: on_step(f"{done.record.label}  {done.record.track}"),
    )
    return remarks
