"""Labels songs without stems by separators, to train a network on them.

A *teacher* separates the voice of each song. Where a second separator disagrees with it, at least
one of them is wrong; such windows are left out. The rest is used like any other song: vocals, and
an accompaniment that is the rest of the mixture.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepbench import audio, registry
from sepbench._util.process import WorkerDied
from sepbench._util.walk import files, written_stems
from sepbench.audio import SUFFIXES
from sepbench.errors import SepbenchError
from sepbench.inference.workers import SeparatorWorker
from sepbench.options import option
from sepbench.registry import Method
from sepbench.training.data.recording import Decoded, Recording
from sepbench.weights.container import sha256

FOLDER = "unlabelled"
"""Name of folders of songs without stems in training data."""

Mono = NDArray[np.float32]

_SPEC = re.compile(r"(?P<method>[^\[\]:]+(?:\[.*\])?)(?::(?P<songs>.+))?")
_SILENT = 1e-7
"""Mean square below which a window is not used."""
_NO_VOICE = 10 ** (-18 / 10)
"""Share of the mixture's energy below which an estimate counts as no voice."""
_SAME = 10 ** (-22 / 10)
"""Share of the mixture's energy below which two estimates without voice agree."""


@dataclass(frozen=True)
class TeacherConfig:
    """The separators that label songs without stems, and the windows to keep.

    It is the section ``teacher`` of a training config. The defaults were tuned on songs with known
    stems; see "Teacher and student" in ``docs/training.md``.
    """

    method: str = option("", "the teacher; empty: songs without stems are not used")
    songs: str = option("", "folder of the songs; empty: folders called 'unlabelled' in the data")
    second: str = option("", "another separator, to compare with; empty: all windows are kept")
    share: float = option(0.33, "weight of the second separator in the label", minimum=0, maximum=1)
    agreement: float = option(6.0, "dB of the voice over the difference of the two estimates")
    seconds: float = option(3.0, "length of a window", minimum=0.1)
    shortest: float = option(6.0, "least seconds of agreement in a song", minimum=0)

    def replaced(self, spec: str) -> TeacherConfig:
        """Return these settings with the teacher of ``METHOD[:SONGS]``; raise for anything else."""
        found = _SPEC.fullmatch(spec)
        if not found:
            raise SepbenchError(f"teacher {spec!r}: write METHOD or METHOD:SONGS, SONGS a folder")
        songs = found["songs"] or self.songs
        return TeacherConfig(**{**asdict(self), "method": found["method"], "songs": songs})


def label_songs(
    config: TeacherConfig, data: Sequence[str], *, device: str, required: bool = False
) -> list[Recording]:
    """Return the songs without stems as recordings whose ``decode`` runs the separators.

    They are those of ``config.songs``, or of the folders called `FOLDER` in ``data``. Raises
    `SepbenchError` for unusable separators, and if ``required`` songs are missing.
    """
    folders = [Path(config.songs)] if config.songs else _unlabelled(data)
    if not (config.method and (folders or required)):
        return []
    teacher = _method(config.method)
    second = _method(config.second) if config.second else None
    if not folders:
        raise SepbenchError(
            f"teacher {config.method}: no folder called {FOLDER!r} in the data; "
            f"give the folder of the songs, as in --teacher {config.method}:songs/"
        )
    labeller = Labeller(config, teacher, second, device=device)
    return [
        Recording(
            folder.resolve().name,
            path.stem,
            ("vocals", "accompaniment"),
            partial(labeller.label, path),
            identity=labeller.identity(path),
            has_gaps=True,
        )
        for folder in folders
        for path in _songs(folder)
    ]


def _method(spec: str) -> Method:
    methods = registry.resolve(spec)
    if len(methods) > 1:
        raise SepbenchError(f"teacher {spec}: means {len(methods)} methods; give each option once")
    stems = methods[0].create().stems
    if methods[0].is_oracle or "vocals" not in stems:
        why = "needs the true stems" if methods[0].is_oracle else f"gives {', '.join(stems)}"
        raise SepbenchError(f"teacher {spec}: {why}; choose a method that gives vocals")
    return methods[0]


def _unlabelled(data: Sequence[str]) -> list[Path]:
    roots = [Path(where) for where in data if Path(where).is_dir()]
    below = (path for root in roots for path in [root, *sorted(root.rglob(FOLDER))])
    found = {path.resolve(): path for path in below if path.is_dir()}  # each once
    return [path for place, path in found.items() if place.name == FOLDER]


def _songs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SepbenchError(f"{folder}: no such folder of songs for a teacher")
    written = written_stems(folder)
    songs = sorted(path for path in files(folder, SUFFIXES) if path.name not in written)
    if not songs:
        raise SepbenchError(f"{folder}: no songs for a teacher; put audio files into it")
    return songs


class Labeller:
    """Labels songs; each separator has its own process, started with the first song.

    Args:
        config: which windows are kept.
        teacher: gives the label.
        second: separator to compare with; None: all windows are kept.
        device: device of both, as on the command line.
    """

    def __init__(
        self, config: TeacherConfig, teacher: Method, second: Method | None, *, device: str
    ) -> None:
        self.config, self.teacher, self.second, self.device = config, teacher, second, device

    def identity(self, path: Path) -> str:
        """Return a digest of everything that decides the labels of a song."""
        methods = [method.identity for method in (self.teacher, self.second) if method]
        kept = {name: value for name, value in asdict(self.config).items() if name != "songs"}
        text = json.dumps([kept, methods, sha256(path)], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def label(
        self, path: Path, rate: int, *, start: float = 0.0, duration: float | None = None
    ) -> Decoded:
        """Return the label of the windows kept, one clip for each run of windows.

        ``start`` and ``duration`` choose a part of the song, in seconds. Raises `SepbenchError` if
        the separators agree in too few windows.
        """
        song = audio.read(path, start=start, duration=duration)
        mixture = _mono(song.samples, song.rate, rate)
        voices = [
            _mono(self._vocals(worker, song, path), song.rate, rate) for worker in self._workers
        ]
        first, second = voices[0], voices[-1]
        share = np.float32(self.config.share)
        label: Mono = first + share * (second - first)
        window = round(self.config.seconds * rate)
        kept = agreeing(mixture, first, second, window=window, agreement=self.config.agreement)
        seconds = int(kept.sum()) * window / rate
        if seconds < self.config.shortest:
            raise SepbenchError(f"{path}: the separators agree in {seconds:.0f} s, too few to use")
        # Prepared samples are 16-bit: a loud song must not clip.
        peak = max(1.0, *(float(np.abs(part).max()) for part in (label, mixture - label)))
        label /= np.float32(peak)
        rest: Mono = mixture / np.float32(peak) - label
        clips = [slice(begin * window, end * window) for begin, end in _runs(kept)]
        return {
            "vocals": [label[clip] for clip in clips],
            "accompaniment": [rest[clip] for clip in clips],
        }

    @cached_property
    def _workers(self) -> list[SeparatorWorker]:
        methods = [method for method in (self.teacher, self.second) if method]
        return [SeparatorWorker(method, self.device) for method in methods]

    def _vocals(
        self, worker: SeparatorWorker, song: audio.Audio, path: Path
    ) -> NDArray[np.float32]:
        try:
            made, _ = worker.separate(song.samples, song.rate)
        except WorkerDied as death:
            raise SepbenchError(f"{path}: a teacher failed: {death}") from None
        return made.stems["vocals"]


def agreeing(
    mixture: Mono, first: Mono, second: Mono, *, window: int, agreement: float
) -> NDArray[np.bool_]:
    """Return for each whole window of ``window`` samples whether two estimates of a voice agree.

    They agree if the energy of their difference is at least ``agreement`` dB below that of their
    mean, or if both find no voice. Silent windows of the mixture are False.

    >>> tone = np.sin(np.arange(800, dtype=np.float32))
    >>> agreeing(tone, 0.5 * tone, 0.55 * tone, window=400, agreement=6.0).tolist()
    [True, True]
    >>> agreeing(tone, 0.5 * tone, 0.1 * tone, window=400, agreement=6.0).tolist()
    [False, False]
    """

    def energy(signal: Mono) -> NDArray[np.float64]:
        count = len(signal) // window
        windows = signal[: count * window].reshape(count, window).astype(np.float64)
        sums: NDArray[np.float64] = np.square(windows).sum(1)
        return sums

    whole, voice = energy(mixture), energy(np.float32(0.5) * (first + second))
    difference = energy(first - second)
    sung = difference <= 10 ** (-agreement / 10) * voice
    unsung = (difference <= _SAME * whole) & (voice <= _NO_VOICE * whole)
    audible = whole > _SILENT * window
    kept: NDArray[np.bool_] = audible & (sung | unsung)
    return kept


def _mono(samples: NDArray[np.float32], own_rate: int, rate: int) -> Mono:
    mono: Mono = audio.resample(samples.mean(0, keepdims=True), own_rate, rate)[0]
    return mono


def _runs(kept: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where each run of true values begins and ends."""
    runs = []
    for value, places in groupby(range(len(kept)), key=lambda place: bool(kept[place])):
        if value:
            run = list(places)
            runs.append((run[0], run[-1] + 1))
    return runs
