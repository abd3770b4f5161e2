"""Writes the tables and pictures of a run next to its scores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pandas as pd

from sepbench._util.files import sha256, write_atomic
from sepbench._util.text import listed, printable
from sepbench._util.walk import is_run
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record
from sepbench.evaluation.store import Settings, Store
from sepbench.metrics.protocols import DEFAULT_PROTOCOL
from sepbench.registry.metrics import protocol as find_protocol
from sepbench.report import boxplot, csv_text, published, tables
from sepbench.report.choice import Choice
from sepbench.report.index import Index
from sepbench.report.joining import OnFile, joined, separated
from sepbench.report.lacking import incomplete_methods
from sepbench.report.score_lines import score_lines
from sepbench.report.scored import Scored

_PAIR = "vocals+accompaniment"
"""The set in which ``--targets musdb`` scores vocals and accompaniment."""


@dataclass(frozen=True)
class Report:
    """The tables of a run, the written files, and remarks on missing parts."""

    scores: pd.DataFrame
    summary: pd.DataFrame
    files: list[Path]
    remarks: list[str]
    incomplete: frozenset[str] = frozenset()
    """The methods without scores on some tracks; they are not ranked."""


def write(
    store: Store,
    *,
    protocol: str,
    references: tuple[str, ...] = (),
    others: Sequence[Store] = (),
    choice: Choice | None = None,
    out: Path | None = None,
    required: bool = False,
    on_file: OnFile = lambda done, total: None,
) -> Report:
    """Make ``scores.csv``, ``summary.csv`` and the boxplots of a run from its stored scores.

    ``references`` are names of published scores (``sisec18``); those that do not match the run are
    left out with a remark. ``others`` are runs shown with it, merged into one row if they have
    other tracks of the same method. The files go to the run's folder, or to ``out``; where scores
    changed, boxplots of other protocols there are made again. ``on_file`` is
    called with the progress of reading new scores. Raises `SepbenchError` where there are no scores
    of the ``protocol`` and it is ``required``.
    """
    if out is not None and is_run(out):
        raise SepbenchError(f"{out}: a run, with tables of its own; choose another --out")
    tracks, scores, summary, remarks = _read((store, *others), choice or Choice(), on_file)
    incomplete = incomplete_methods([one.record for one in tracks])
    own = len(scores)
    words = _span(store.settings)
    if references:
        scores, summary, said = _with_published(scores, summary, store.settings, protocol)
        remarks += said
        if len(scores) > own:
            words.append(published.caption(store.settings.dataset))
    instead = _instead_of(protocol, summary)
    if required and instead:
        raise SepbenchError(
            f"{store.folder}: no scores of protocol {protocol}; choose from {instead}"
        )
    folder = store.folder if out is None else out
    files = [folder / "scores.csv", folder / "summary.csv"]
    added = csv_text.lines(scores.iloc[own:], heading=False)
    before = sha256(files[0]) if files[0].is_file() else None
    write_atomic(files[0], chain(score_lines(tracks), added))
    tables.write_csv(summary, files[1])
    del tracks  # Pictures of large runs need the memory.
    pictures, reasons = _pictures(scores, folder, protocol, words)
    if sha256(files[0]) != before:
        for other in _drawn(folder) - {protocol}:
            _pictures(scores, folder, other, words)
    if instead:
        reasons = []  # The heading of the table says that there are no scores.
    return Report(scores, summary, [*files, *pictures], [*remarks, *reasons], incomplete)


def _read(
    stores: Sequence[Store], choice: Choice, on_file: OnFile
) -> tuple[list[Scored], pd.DataFrame, pd.DataFrame, list[str]]:
    """Return the chosen scores of runs, both tables of them, and remarks."""
    with ExitStack() as stack:
        indexes = [stack.enter_context(Index(each)) for each in stores]
        tracks, remarks = joined(indexes, on_file)
        tracks = choice.of(tracks, stores[0].folder)
        records, said = separated([one.record for one in tracks])
        tracks = [
            one if one.record is record else replace(one, record=record)
            for one, record in zip(tracks, records, strict=True)
        ]
        remarks += [
            *said,
            *_other_dataset(records, stores[0]),
            *_unequal(records, incomplete_methods(records)),
            *_silent(records),
        ]
        summary = tables.summary_table(tracks, indexes[0])
        return tracks, tables.score_table(tracks), summary, remarks


def _with_published(
    scores: pd.DataFrame, summary: pd.DataFrame, settings: Settings, protocol: str
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Return both tables with the published scores of the same data set below, and remarks."""
    whole = settings.start == 0 and settings.duration is None
    rows, remarks = published.published_rows(scores, whole_tracks=whole)
    if rows.empty:
        return scores, summary, remarks
    remarks += [*_other_protocol(protocol), *_other_sets(scores, rows)]
    summary = _joined(summary, tables.summary_of_published(rows))
    return _joined(scores, rows), summary, remarks


def _instead_of(protocol: str, summary: pd.DataFrame) -> str:
    """Return the protocols that have scores if this one has none, else nothing."""
    there = sorted(set(summary["protocol"].dropna()))
    return "" if protocol in there else ", ".join(there)


def _pictures(
    scores: pd.DataFrame, folder: Path, protocol: str, words: Sequence[str]
) -> tuple[list[Path], list[str]]:
    """Write the boxplots; return their paths, and a remark if there is nothing to draw."""
    # Pictures of other protocols are named after them.
    name = "boxplot" if protocol == DEFAULT_PROTOCOL else f"boxplot-{protocol}"
    try:
        figure = boxplot.boxplot(scores, protocol=protocol, remarks=words)
    except SepbenchError as reason:
        for ending in ("png", "svg"):  # An older picture would not match the table.
            (folder / f"{name}.{ending}").unlink(missing_ok=True)
        return [], [f"no plot: {reason}"]
    return boxplot.save(figure, folder, name=name), []


def _drawn(folder: Path) -> set[str]:
    """Return the protocols of the pictures in a folder."""
    names = {path.stem for ending in ("png", "svg") for path in folder.glob(f"boxplot*.{ending}")}
    drawn = {DEFAULT_PROTOCOL} if "boxplot" in names else set()
    for name in names - {"boxplot"}:
        with suppress(SepbenchError):  # A copy, under a name of the user's.
            drawn.add(find_protocol(name.removeprefix("boxplot-")).id)
    return drawn


def _unequal(records: Sequence[Record], incomplete: frozenset[str]) -> list[str]:
    """Report methods with different tracks, whose scores are not comparable."""
    if not incomplete:
        return []
    count = len({record.song for record in records if record.error is None})
    return [
        f"no scores of all {count} tracks, so not ranked with the others: "
        f"{', '.join(sorted(incomplete))}"
    ]


def _other_dataset(records: Sequence[Record], store: Store) -> list[str]:
    """Report a run whose settings were changed by hand, so that its heading is wrong."""
    named, scored = store.settings.dataset, sorted({record.dataset for record in records})
    if not scored or named in scored:
        return []
    return [
        f"{store.folder}: run.json names the data set {named}, the scores are of "
        f"{printable(' or '.join(scored))}; mend run.json"
    ]


def _silent(records: Sequence[Record]) -> list[str]:
    """Report stems without a meaningful score because of silence."""
    tracks: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        for stem, result in record.stems.items():
            for note in result.notes:
                if "silent" in note or "no SIR" in note:
                    tracks.setdefault((stem, note), {})[record.track] = None
    lines = []
    for (stem, note), names in tracks.items():
        extra = "; protocol mdx counts it all the same" if "reference is silent" in note else ""
        lines.append(f"{stem}: {note} on {printable(listed(names, most=1))}{extra}")
    return lines


def _other_protocol(protocol: str) -> list[str]:
    if protocol == published.PROTOCOL:
        return []
    return [
        f"published SiSEC18 scores exist only for the protocol {published.PROTOCOL}, so the table "
        f"of {protocol} has none; --protocol {published.PROTOCOL} shows them"
    ]


def _other_sets(ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """Report stems that are scored within another set than in most published systems."""
    lines = []
    for stem in sorted(set(ours["stem"].dropna()) & set(theirs["stem"])):
        own = set(ours.loc[ours["stem"].eq(stem) & ours["protocol"].eq("sisec18"), "set"].dropna())
        systems = theirs[theirs["stem"].eq(stem)].groupby("set")["label"].nunique()
        usual = str(systems.idxmax())
        if others := own - {usual}:
            # The option changes the set of these two stems alone.
            as_they_were = "; --targets musdb scores as they were" if usual == _PAIR else ""
            lines.append(
                f"{stem}: scored within {' or '.join(sorted(others))} here, most published systems "
                f"within {usual}, up to 3 dB apart{as_they_were}"
            )
    return lines


def _span(settings: Settings) -> list[str]:
    if settings.start == 0 and settings.duration is None:
        return []
    end = "the end" if settings.duration is None else f"{settings.start + settings.duration:g} s"
    return [f"Scored part of each track: {settings.start:g} s to {end}."]


def _joined(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    # Columns without any value have no common type.
    return pd.concat([ours, theirs.dropna(axis="columns", how="all")], ignore_index=True)
