"""Scores what others separated: folders of stems, whatever made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import sepbench
from sepbench import audio
from sepbench._util.download import sha256
from sepbench._util.walk import files
from sepbench.datasets.base import FRAME
from sepbench.errors import SepbenchError
from sepbench.evaluation.scoring import new_scorer, score_stems
from sepbench.evaluation.store import Record, Store, fingerprint
from sepbench.registry.metrics import metric_identities
from sepbench.stems import MIXTURE, in_order, stem_of, with_sums

if TYPE_CHECKING:
    from sepbench.datasets.base import Track, TrackAudio
    from sepbench.inference.overlap_add import Samples


@dataclass(frozen=True)
class Estimates:
    """The files that hold the stems of one track."""

    track: Track
    files: dict[str, Path]


def find(folder: Path, tracks: Sequence[Track]) -> list[Estimates]:
    """Return the tracks of which ``folder`` has stems, with the file of each stem.

    Looks for ``<subset>/<track>/<stem>.wav`` as museval and musdb write it, ``<track>/<stem>.wav``,
    ``<track>_<stem>.wav``, and, for a single track, ``<stem>.wav``; any audio suffix will do.
    Raises `SepbenchError` where there is none at all.
    """
    if not folder.is_dir():
        raise SepbenchError(f"{folder}: no such folder of estimates")
    found = [Estimates(track, _files(folder, track, alone=len(tracks) == 1)) for track in tracks]
    found = [estimates for estimates in found if estimates.files]
    if not found:
        raise SepbenchError(
            f"{folder}: no stems of any of {len(tracks)} tracks; name them <track>/<stem>.wav, "
            f"for example '{audio.safe_name(tracks[0].name)}/vocals.wav'"
        )
    return found


def incomplete(found: Sequence[Estimates]) -> list[str]:
    """Say of each stem that only some tracks have an estimate of, where it is missing."""
    made = {one.track.name: with_sums(dict.fromkeys(one.files, 0)) for one in found}
    lines = []
    for stem in in_order(stem for one in found for stem in one.files):
        without = [name for name, stems in made.items() if stem not in stems]
        if without:
            lines.append(
                f"no {stem} of {len(without)} of {len(made)} tracks, {without[0]!r} the first"
            )
    return lines


def score(
    found: Sequence[Estimates],
    store: Store,
    *,
    name: str,
    metrics: Sequence[str],
    device: str,
    on_done: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Score the stems of every track under a method's ``name``; keep and return the records.

    A track that cannot be scored is a record with its reason. Raises `SepbenchError` where the run
    has scores of a method of that name already which are no one else's estimates.
    """
    own = {record.label for record in store.records() if "method" in record.identity}
    if name in own:
        raise SepbenchError(f"{store.folder} has scores of its own method {name!r}; choose --name")
    records = []
    for estimates in found:
        record = _record(estimates, store, name, metrics, device)
        store.save(record)
        records.append(record)
        on_done(record)
    return records


def _files(folder: Path, track: Track, *, alone: bool) -> dict[str, Path]:
    names = dict.fromkeys([track.name, audio.safe_name(track.name), audio.folder_name(track.name)])
    for name in names:
        for place in (folder / track.subset / name, folder / name):
            if place.is_dir():
                return _named(place, "")
        if prefixed := _named(folder, f"{name}_"):
            return prefixed
    return _named(folder, "") if alone else {}


def _named(folder: Path, prefix: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files(folder, audio.SUFFIXES):
        if not path.name.startswith(prefix):
            continue
        stem = stem_of(path.name.removeprefix(prefix))
        if stem is None or stem == MIXTURE:
            continue
        if stem in found:
            raise SepbenchError(
                f"{folder}: {found[stem].name} and {path.name} are both {stem}; keep one of them"
            )
        found[stem] = path
    return found


def _record(
    estimates: Estimates, store: Store, name: str, metrics: Sequence[str], device: str
) -> Record:
    settings, track = store.settings, estimates.track
    identity: dict[str, Any] = {
        "sepbench": sepbench.__version__,
        "estimates": {stem: sha256(path) for stem, path in estimates.files.items()},
        "audio": track.digest(start=settings.start, duration=settings.duration),
        "metrics": metric_identities(metrics),
    }
    results: dict[str, Any] = {}
    try:
        song = track.load(start=settings.start, duration=settings.duration)
        stems, notes = _load(estimates.files, song, settings.start, settings.duration)
        scorer = new_scorer(song, metrics, device)
        results["stems"] = score_stems(scorer, stems, list(song.references))
        results["notes"] = (*song.notes, *notes)
    except SepbenchError as error:
        results["error"] = str(error)
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


def _load(
    files: Mapping[str, Path], song: TrackAudio, start: float, duration: float | None
) -> tuple[dict[str, Samples], list[str]]:
    """Read estimates and fit them to the song; say in notes whatever had to be done."""
    stems, notes = {}, []
    for stem, path in files.items():
        samples, said = _fitted(path, song, start, duration)
        stems[stem] = samples
        notes += [f"{path.name}: {note}" for note in said]
    return stems, notes


def _fitted(
    path: Path, song: TrackAudio, start: float, duration: float | None
) -> tuple[Samples, list[str]]:
    read = audio.read(path, start=start, duration=duration)
    samples, notes = read.samples, list(read.notes)
    channels, length = song.mixture.shape
    if read.rate != song.rate:
        notes.append(f"resampled from {read.rate} to {song.rate} Hz")
        samples = audio.resample(samples, read.rate, song.rate)
    if samples.shape[0] == 1 and channels > 1:
        notes.append(f"mono, copied to {channels} channels")
        samples = samples.repeat(channels, axis=0)
    if samples.shape[0] != channels:
        raise SepbenchError(f"{path}: {samples.shape[0]} channels, the reference has {channels}")
    excess = samples.shape[1] - length
    if abs(excess) > FRAME:
        raise SepbenchError(
            f"{path}: {samples.shape[1]} samples at {song.rate} Hz, the reference has {length}; "
            f"at most {FRAME} may differ"
        )
    if excess:
        notes.append(f"{-excess} samples of silence added" if excess < 0 else f"{excess} cut off")
        samples = np.pad(samples[:, :length], ((0, 0), (0, max(0, -excess))))
    return np.ascontiguousarray(samples), notes
