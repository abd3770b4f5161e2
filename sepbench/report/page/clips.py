"""The clips of an excerpt: mixture, reference, estimates and an anchor, equally loud."""

from __future__ import annotations

import base64
import io
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import image
from numpy.typing import NDArray
from scipy import signal

from sepbench import audio
from sepbench._util.files import write_atomic
from sepbench.audio.memory import ogg
from sepbench.datasets.base import FRAME, Track, TrackAudio
from sepbench.errors import SepbenchError
from sepbench.evaluation.estimates import Part, scored_stems
from sepbench.evaluation.records import Record
from sepbench.evaluation.store import Store
from sepbench.report.page.excerpts import MIXTURE, Excerpt
from sepbench.report.spectrogram import band_powers
from sepbench.stems import with_sums

ANCHOR_HZ = 3500.0
"""Band of the anchor of listening tests (ITU-R BS.1534)."""

LOUDNESS = -20.0
"""Target loudness in LUFS, lower if one of the sources would clip or need too large a gain."""

MOST_GAIN = 20.0
"""Largest gain in dB of a source."""

NEARLY_SILENT = 40.0
"""A source that is this many dB below the reference does not lower the level of the others."""

RANGE = 70.0
"""Range of the colours in dB below the loudest point of the mixture."""

COLUMNS = 480

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Source:
    """One sound of a clip. ``kind`` is mixture, reference, method, oracle or anchor."""

    name: str
    kind: str
    samples: Samples
    loudness: float
    gain: float
    """Gain in dB that matches its loudness to the others."""


@dataclass(frozen=True)
class Clip:
    """All clips of an excerpt at one rate."""

    excerpt: Excerpt
    rate: int
    peak: float
    """Power of the loudest point of the mixture's spectrogram."""
    sources: list[Source]

    @property
    def quieter(self) -> int:
        """The number of silent or nearly silent sources, which are not as loud as the others."""
        levels = [one.loudness + one.gain for one in self.sources]
        return sum(level < max(levels) - 0.1 for level in levels)


def has_sound(store: Store, record: Record) -> bool:
    """Return whether a run has kept the stems of a record, or their folder is still there."""
    scored = record.identity.get("folder")
    kept = store.stems_folder(record.label, record.subset, record.track)
    return kept.is_dir() or (scored is not None and Path(scored).is_dir())


def stems_of(store: Store, record: Record) -> dict[str, Path]:
    """Return the stem files of a method and track that a run has kept."""
    folder = store.stems_folder(record.label, record.subset, record.track)
    if not folder.is_dir():
        return {}
    files = sorted(folder.iterdir())
    return {path.stem: path for path in files if path.suffix.lower() in audio.SUFFIXES}


def clips(
    store: Store,
    records: Sequence[Record],
    track: Track,
    excerpts: Sequence[Excerpt],
    on_note: Callable[[str], None] = lambda text: None,
) -> Iterator[Clip]:
    """Yield the clips of one track; methods whose stems were not kept are left out.

    So are those whose stems are damaged or end before the excerpt, with a call of ``on_note``. Only
    the needed part of the track and of all estimates is read, once.
    """
    settings = store.settings
    first = min(excerpt.start for excerpt in excerpts)
    last = max(excerpt.start + excerpt.seconds for excerpt in excerpts)
    song = track.load(start=settings.start + first, duration=last - first)
    estimates = {
        record.label: (record.oracle, _estimates(store, record, track, song, first, on_note))
        for record in records
        if record.song == track.song
        and record.error is None
        and record.method != MIXTURE  # It is already on the page.
    }
    for excerpt in excerpts:
        if excerpt.stem not in song.references:
            continue
        start = round((excerpt.start - first) * song.rate)
        part = slice(start, start + round(excerpt.seconds * song.rate))
        found = {
            ("mixture", "mixture"): song.mixture[:, part],
            ("reference", "reference"): song.references[excerpt.stem][:, part],
        }
        for label, (is_oracle, stems) in estimates.items():
            if excerpt.stem not in stems:
                continue
            samples = stems[excerpt.stem][:, part]
            missing = int(np.isnan(samples[0]).sum())
            if missing > FRAME:
                on_note(
                    f"{label}: no audio of {excerpt.stem} of {track.name}: "
                    f"{missing / song.rate:.1f} s shorter than the excerpt"
                )
                continue
            found[label, "oracle" if is_oracle else "method"] = np.nan_to_num(samples)
        found["anchor", "anchor"] = _anchor(found["reference", "reference"], song.rate)
        peak = float(band_powers(found["mixture", "mixture"], song.rate).max())
        yield Clip(excerpt, song.rate, peak, _levelled(found, song.rate))


def write_source(path: Path, key: str, source: Source, clip: Clip) -> None:
    """Write a source as a script that passes its audio and pictures to the page.

    A page opened from a file may load scripts next to it, but not read other files.
    """
    payload: dict[str, Any] = {
        "audio": _base64(ogg(source.samples, clip.rate)),
        "spectrogram": _base64(spectrogram_png(source.samples, clip.rate, clip.peak)),
    }
    if source.kind in ("method", "oracle"):
        reference = next(one for one in clip.sources if one.kind == "reference")
        error = source.samples - reference.samples
        payload["error"] = _base64(spectrogram_png(error, clip.rate, clip.peak))
    write_atomic(path, f"sepbenchSource({json.dumps(key)}, {json.dumps(payload)});\n")


def spectrogram_png(samples: Samples, rate: int, peak: float) -> bytes:
    """Return a spectrogram as PNG: bands of equal width on a logarithmic scale, low ones below.

    Colours reach `RANGE` dB down from the power ``peak``.
    """
    powers = band_powers(samples, rate)
    if powers.shape[1] > COLUMNS:
        edges = np.linspace(0, powers.shape[1], COLUMNS + 1).astype(int)[:-1]
        powers = np.maximum.reduceat(powers, edges, axis=1)
    levels = 10 * np.log10(np.maximum(powers, 1e-20) / max(peak, 1e-20))
    made = io.BytesIO()
    image.imsave(made, levels[::-2], cmap="magma", vmin=-RANGE, vmax=0, format="png", metadata={})
    return made.getvalue()


def loudness(samples: Samples, rate: int) -> float:
    """Return the loudness in LUFS (ITU-R BS.1770-4); minus infinity for silence."""
    import pyloudnorm

    # Blocks are 0.4 s long; shorter signals are repeated.
    least = math.ceil(0.4 * rate) + 1
    repeated = np.tile(samples, (1, math.ceil(least / max(1, samples.shape[1]))))
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        warnings.simplefilter("ignore")
        return float(pyloudnorm.Meter(rate).integrated_loudness(repeated.T.astype(np.float64)))


def _levelled(found: Mapping[tuple[str, str], Samples], rate: int) -> list[Source]:
    measured = {key: loudness(samples, rate) for key, samples in found.items()}
    heard = {key: loud for key, loud in measured.items() if math.isfinite(loud)}
    room = [loud - 20 * math.log10(float(abs(found[key]).max())) for key, loud in heard.items()]
    least = measured["reference", "reference"] - NEARLY_SILENT
    within = [loud + MOST_GAIN for loud in heard.values() if loud >= least]
    target = min([LOUDNESS, *room, *within])
    return [
        Source(
            *key,
            samples=found[key],
            loudness=loud,
            gain=min(MOST_GAIN, target - loud) if math.isfinite(loud) else 0.0,
        )
        for key, loud in measured.items()
    ]


def _anchor(reference: Samples, rate: int) -> Samples:
    """Return the reference low-passed at `ANCHOR_HZ`, without delay."""
    if rate / 2 <= ANCHOR_HZ:
        return reference
    low = signal.butter(8, ANCHOR_HZ, fs=rate, output="sos")
    return np.asarray(signal.sosfiltfilt(low, reference, axis=1, padlen=0), dtype=np.float32)


def _estimates(
    store: Store,
    record: Record,
    track: Track,
    song: TrackAudio,
    first: float,
    on_note: Callable[[str], None],
) -> dict[str, Samples]:
    """Return the stems of a method, and their sums, of a part of a track from a second on.

    They are as long as the part; samples that a file lacks at its end are NaN.
    """
    stems: dict[str, Samples] = {}
    scored = Part(store.settings.start, store.settings.duration)
    with suppress(SepbenchError):  # A folder that has changed since.
        stems |= scored_stems(record, track, song, first, scored=scored)
    length = song.mixture.shape[1]
    for name, path in stems_of(store, record).items():
        try:
            read = audio.read(path, start=first, duration=length / song.rate)
        except SepbenchError as error:
            on_note(f"{record.label}: no audio of {name} of {track.name}: {error}")
            continue  # A damaged file of one method must not prevent the page.
        samples = read.samples
        if read.rate != song.rate:
            samples = audio.resample(samples, read.rate, song.rate)
        samples = samples[:, :length]
        lack = length - samples.shape[1]
        stems[name] = np.pad(samples, ((0, 0), (0, lack)), constant_values=np.nan)
    return with_sums(stems)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
