"""Makes the page of a run, with kept audio or with newly separated audio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sepbench import registry
from sepbench._util.text import listed, matches
from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError
from sepbench.evaluation import run
from sepbench.evaluation.records import Record
from sepbench.evaluation.run import RunConfig
from sepbench.evaluation.store import Store
from sepbench.registry import Method
from sepbench.report.build import Report
from sepbench.report.page.excerpts import Excerpt, choose
from sepbench.report.page.write import Page, kept_excerpts, missing_stems, write_page

MOST_TRACKS = 5
"""Default number of tracks to listen to."""

Step = Callable[[str], None]


def make_page(
    store: Store,
    report: Report,
    *,
    protocol: str,
    tracks: Sequence[Track],
    listen: int | None = None,
    songs: Sequence[str] = (),
    plan: RunConfig | None = None,
    command: str = "",
    on_step: Step = lambda what: None,
) -> Page:
    """Write the page of a run; return its path and what is missing.

    ``listen`` is the number of songs, those on which methods differ most; missing stems are
    separated again and kept. Without it, kept stems are used. ``songs`` are globs of the songs that
    are chosen from, all if empty. ``tracks`` are those of the data set, empty if it is not found.
    Raises `SepbenchError` if no song of the run matches.
    """
    records = store.records()
    chosen = _of_songs(store, records, songs)
    remarks: list[str] = []
    if listen is None:
        excerpts = kept_excerpts(store, chosen, MOST_TRACKS) if tracks else []
    else:
        excerpts = choose(chosen, listen)
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


def _of_songs(store: Store, records: Sequence[Record], songs: Sequence[str]) -> Sequence[Record]:
    """Return the records of songs whose names match any of the globs."""
    found = [one for one in records if any(matches(one.track, pattern) for pattern in songs)]
    if songs and not found:
        some = listed(dict.fromkeys(record.track for record in records))
        raise SepbenchError(f"{store.folder}: no track {', '.join(songs)}; it has {some}")
    return found if songs else records


def _separate(
    store: Store,
    records: Sequence[Record],
    excerpts: Sequence[Excerpt],
    tracks: Sequence[Track],
    plan: RunConfig,
    on_step: Step,
) -> list[str]:
    """Separate songs without kept stems again, as the evaluation did; return failures."""
    wanted = {excerpt.song for excerpt in excerpts}
    chosen = [track for track in tracks if track.song in wanted]
    remarks: list[str] = []
    methods: dict[RunConfig, list[Method]] = {}
    missing = {record.label: record for record in missing_stems(store, records, excerpts)}
    for label, record in sorted(missing.items()):
        if "method" not in record.identity:
            folder = record.identity.get("folder")
            gone = f"{folder} is gone" if folder else "its scores were imported without stems"
            remarks.append(f"{label}: no audio: {gone}")
            continue
        try:
            methods.setdefault(_again(record, plan), []).extend(registry.resolve(label))
        except SepbenchError as error:
            remarks.append(f"{label}: no audio: {error}")
    if not (methods and chosen):
        return remarks
    known = {(record.label, record.song): record for record in records}

    def finish(done: run.Done) -> None:
        """Keep the cost that the evaluation measured; this machine may be at other work now."""
        old = known.get((done.record.label, done.record.song))
        if old is not None and not (old.error or done.record.error):
            cost = {name: getattr(old, name) for name in ("seconds", "peak_bytes")}
            store.save(replace(done.record, **cost))
        on_step(f"{done.record.label}  {done.record.track}")

    for again, alike in methods.items():
        try:
            run.run(chosen, alike, store, again, on_done=finish)
        except SepbenchError as error:
            remarks.append(f"no audio: {error}")
    return remarks


def _again(record: Record, plan: RunConfig) -> RunConfig:
    """Return the settings with which a record is made again, with its scores unchanged."""
    # The run may have used a GPU that this machine lacks.
    on_cpu = record.identity.get("device") == "cpu"
    return replace(
        plan,
        save_stems=True,
        shard=None,
        targets=record.identity.get("targets", "largest"),
        device="cpu" if on_cpu else plan.device,
        devices=() if on_cpu else plan.devices,
    )
