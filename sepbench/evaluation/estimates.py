"""Scores folders of stems made by other programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import sepbench
from sepbench import audio
from sepbench.datasets.base import FRAME
from sepbench.errors import SepbenchError, describe
from sepbench.evaluation.delay import LONGEST_DELAY, agreed, delays, remarks
from sepbench.evaluation.estimate_files import Estimates, files_of
from sepbench.evaluation.identified import identified
from sepbench.evaluation.records import Record, fingerprint, same_but_metrics
from sepbench.evaluation.scoring import SongScorer
from sepbench.evaluation.store import Store
from sepbench.evaluation.stored import with_metrics_of
from sepbench.evaluation.suspicions import suspicions
from sepbench.registry.metrics import metric_identities

if TYPE_CHECKING:
    from sepbench.datasets.base import Track, TrackAudio
    from sepbench.inference.overlap_add import Samples


_NEARLY = 0.05
"""Seconds by which the headers of compressed files may miss their length."""

_Stems: TypeAlias = "dict[str, Samples]"


@dataclass(frozen=True)
class Part:
    """The seconds of every track that are scored; ``duration`` is None for all the rest."""

    start: float
    duration: float | None

    @property
    def is_part(self) -> bool:
        """Whether it may be less than the track."""
        return self.start > 0 or self.duration is not None

    def seconds(self, track: Track) -> float:
        """Return the length of a track's part; infinite where the track's is not known."""
        whole = math.inf if track.seconds is None else track.seconds
        return min(whole - self.start, self.duration or math.inf)


def score(
    found: Sequence[Estimates],
    store: Store,
    *,
    name: str,
    metrics: Sequence[str],
    device: str,
    targets: str = "largest",
    align: bool = False,
    folder: Path | None = None,
    on_done: Callable[[Record], None] = lambda record: None,
    on_note: Callable[[str], None] = lambda text: None,
) -> list[Record]:
    """Score the stems of every track under a method's ``name``; store and return the records.

    Records under that name from another ``folder`` are removed, with a call of ``on_note``.
    ``align`` removes a constant delay. ``targets`` is as in `RunConfig`.
    A track that cannot be scored is a record with its reason. Raises `SepbenchError` where the run
    already has scores of a method of that name which are not imported estimates.
    """
    own = {record.label for record in store.records() if "method" in record.identity}
    if name in own:
        raise SepbenchError(f"{store.folder} has scores of its own method {name!r}; choose --name")
    here = None if folder is None else str(folder.resolve())
    _remove_others(store, name, here, {one.track.song for one in found}, on_note)
    how = _How(tuple(metrics), device, targets, align, here)
    records = []
    for estimates in found:
        record = _record(estimates, store, name, how)
        store.save(record)
        records.append(record)
        on_done(record)
    return records


def scored_stems(
    record: Record, track: Track, song: TrackAudio, first: float, *, scored: Part
) -> _Stems:
    """Return the part of the stems that a record's scores are of, as they were scored.

    Without those that its folder no longer has, or has with other content. ``song`` is that part of
    the track; it begins ``first`` seconds after the part that was scored.
    """
    if (folder := record.identity.get("folder")) is None:
        return {}
    known, there = record.identity["estimates"], files_of(Path(folder), track, alone=True)
    same = dict(there.digests().items() & known.items())
    files = {stem: path for stem, path in there.files.items() if stem in same}
    if record.identity.get("align") and files:
        # The delay is that of the whole song.
        whole = track.load(start=scored.start, duration=scored.duration)
        stems, *_ = _aligned(Estimates(track, files), whole, scored.start, scored.duration)
        begin = round(first * song.rate)
        part = slice(begin, begin + song.mixture.shape[1])
        return {stem: samples[:, part] for stem, samples in stems.items()}
    seconds = song.mixture.shape[1] / song.rate
    stems = {}
    for stem, path in files.items():
        is_of_part = scored.is_part and _is_of_part(path, track, scored.seconds(track), song.rate)
        start = first if is_of_part else scored.start + first
        stems[stem], _ = _fitted(path, song, start, seconds)
    return stems


@dataclass(frozen=True)
class _How:
    """How estimates are scored, and the folder they are in."""

    metrics: tuple[str, ...]
    device: str
    targets: str
    align: bool
    folder: str | None


def _remove_others(
    store: Store,
    name: str,
    folder: str | None,
    found: set[tuple[str, str]],
    on_note: Callable[[str], None],
) -> None:
    """Remove records of this name from other folders."""
    for record in store.records():
        is_new = record.song in found
        if record.label == name and not is_new and record.identity.get("folder") != folder:
            store.remove(record)
            whose = record.identity.get("folder") or "others"
            on_note(f"{record.track}: removed older scores of {name}, made from {whose}")


def _record(estimates: Estimates, store: Store, name: str, how: _How) -> Record:
    settings = store.settings
    track, digest = identified(estimates.track, start=settings.start, duration=settings.duration)
    identity: dict[str, Any] = {
        "sepbench": sepbench.__version__,
        "estimates": estimates.digests(),
        **({} if estimates.problem is None else {"problem": estimates.problem}),
        "audio": digest,
        "metrics": metric_identities(how.metrics),
        **({} if how.targets == "largest" else {"targets": how.targets}),
        **({"align": True} if how.align else {}),
        **({} if how.folder is None else {"folder": how.folder}),
    }
    metrics = how.metrics
    known = store.load(name, track.subset, track.name)
    if known is not None and same_but_metrics(known.identity, identity):
        metrics = with_metrics_of(known, metrics, store)
        identity["metrics"] = metric_identities(metrics)
    results: dict[str, Any] = {}
    try:
        if estimates.problem is not None:
            raise SepbenchError(estimates.problem)
        song = track.load(start=settings.start, duration=settings.duration)
        load = _aligned if how.align else _load
        stems, notes, found = load(estimates, song, settings.start, settings.duration)
        notes += found or suspicions(stems, song.references)
        scorer = SongScorer(song, metrics, how.device)
        results["stems"] = scorer.score(stems, musdb=how.targets == "musdb")
        results["notes"] = (*song.notes, *notes)
        results["audio_seconds"] = song.mixture.shape[1] / song.rate
    except SepbenchError as error:
        results = {"error": str(error)}
    except Exception as error:  # No exception of a track may affect the others.
        results = {"error": describe(error)}
    return Record(
        dataset=settings.dataset,
        subset=track.subset,
        track=track.name,
        label=name,
        method=name,
        options={},
        fingerprint=fingerprint(identity),
        identity=identity,
        **results,
    )


_Loaded: TypeAlias = "tuple[dict[str, Samples], list[str], list[str]]"
"""Stems, what was changed in their files, and what is to be said of their delays."""


def _load(estimates: Estimates, song: TrackAudio, start: float, duration: float | None) -> _Loaded:
    """Read estimates and fit them to the song."""
    stems, notes = _read(estimates, song, start, duration)
    return stems, notes, remarks(delays(stems, song.references))


def _aligned(
    estimates: Estimates, song: TrackAudio, start: float, duration: float | None
) -> _Loaded:
    """Read estimates without a delay that all have, whose samples are all in the files."""
    stems, notes = _read(estimates, song, start, duration, slack=LONGEST_DELAY)
    found = delays(stems, song.references)
    late = agreed(found, stems, song.references)
    if late:
        stems, notes = _read(estimates, song, start, duration, late=late, slack=LONGEST_DELAY)
    return stems, notes, remarks(found, taken_out=late != 0)


def _read(
    estimates: Estimates,
    song: TrackAudio,
    start: float,
    duration: float | None,
    *,
    late: int = 0,
    slack: int = FRAME,
) -> tuple[dict[str, Samples], list[str]]:
    """Read estimates, remove their delay in samples, and fit them to the song."""
    stems, notes = {}, []
    is_part, seconds = Part(start, duration).is_part, song.mixture.shape[1] / song.rate
    for stem, path in estimates.files.items():
        of_part = is_part and _is_of_part(path, estimates.track, seconds, song.rate, slack)
        span = (0.0, None) if of_part else (start, duration)
        stems[stem], said = _fitted(path, song, *span, late=late, slack=slack)
        if of_part:
            said.append("as long as the part that is scored, so taken for that part")
        notes += [f"{path.name}: {note}" for note in said]
    return stems, notes


def _is_of_part(path: Path, track: Track, part: float, rate: int, slack: int = FRAME) -> bool:
    """Return whether an estimate is of a part of a track and not of all of it, by its length.

    Raises `SepbenchError` if it has neither length, as it could be any part.
    """
    seconds, whole = audio.info(path).seconds, track.seconds
    near = _NEARLY + slack / rate
    if whole is None or abs(seconds - whole) <= near:
        return False
    if abs(seconds - part) <= near:
        return True
    raise SepbenchError(
        f"{path}: {seconds:.2f} s long, the track {whole:.2f} s and its part {part:.2f} s; "
        "give estimates of the one or the other"
    )


def _fitted(
    path: Path,
    song: TrackAudio,
    start: float,
    duration: float | None,
    *,
    late: int = 0,
    slack: int = FRAME,
) -> tuple[Samples, list[str]]:
    """Return a part of an estimate as long as the song, and notes of what was changed.

    It begins ``late`` samples later in the file, with silence before the file's beginning. Lengths
    may differ by ``slack`` samples.
    """
    channels, length = song.mixture.shape
    start += late / song.rate
    before, start = round(max(0.0, -start) * song.rate), max(0.0, start)
    is_other = audio.info(path).rate != song.rate
    # A part begins and ends between samples of another rate, so it is cut after resampling.
    begin = max(0, math.floor(start) - 1) if is_other else start
    more = start - begin + 1 if is_other else 0.0
    read = audio.read(path, start=begin, duration=None if duration is None else duration + more)
    samples, notes = read.samples, list(read.notes)
    if is_other:
        notes.append(f"resampled from {read.rate} to {song.rate} Hz")
        first = round((start - begin) * song.rate)
        samples = audio.resample(samples, read.rate, song.rate)[:, first:]
        samples = samples if duration is None else samples[:, :length]
    samples = np.pad(samples, ((0, 0), (before, 0)))
    if samples.shape[0] == 1 and channels > 1:
        notes.append(f"mono, copied to {channels} channels")
        samples = samples.repeat(channels, axis=0)
    if samples.shape[0] != channels:
        raise SepbenchError(f"{path}: {samples.shape[0]} channels, the reference has {channels}")
    excess = samples.shape[1] - length
    if abs(excess) > slack:
        raise SepbenchError(
            f"{path}: {samples.shape[1]} samples at {song.rate} Hz, the reference has {length}; "
            f"at most {slack} may differ"
        )
    if excess:
        notes.append(f"{-excess} samples of silence added" if excess < 0 else f"{excess} cut off")
        samples = np.pad(samples[:, :length], ((0, 0), (0, max(0, -excess))))
    return np.ascontiguousarray(samples), notes
