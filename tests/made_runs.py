"""Runs of made-up scores, written as an evaluation writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sepbench.evaluation.records import Record, StemResult
from sepbench.evaluation.store import Settings, Store
from sepbench.report.merge import contents

STEMS = ("vocals", "accompaniment")
LEVELS = {"good": 6.0, "same": 6.0, "poor": 4.0, "oracle": 9.0}
TRACKS = [f"Song {number:02}" for number in range(50)]
SIX = {
    "mixture": -6.0,
    "hpss": -1.0,
    "hpss[margin=2]": -0.5,
    "repet-sim": 1.5,
    "oracle-irm": 9.0,
    "oracle-ibm": 8.0,
}
TWELVE = {
    **SIX,
    "repet-sim[recipe=librosa]": 1.8,
    "mask-cnn": 3.5,
    "unet": 4.2,
    "open-unmix": 6.2,
    "spleeter[mask=soft,model=4stems]": 5.6,
    "oracle-mwf": 9.3,
}


def make_run(
    folder: Path,
    levels: Mapping[str, float],
    tracks: int | Sequence[str] = 12,
    *,
    seed: int = 0,
    stems: tuple[str, ...] = STEMS,
    settings: Settings | None = None,
    failed: Sequence[tuple[str, str]] = (),
    spread: float = 0.5,
    **identity: object,
) -> Store:
    """Write a run in which each method scores its level, plus what a track adds to all of them."""
    store = Store.create(folder, settings or Settings("some", "test"))
    names = [f"song {n:02}" for n in range(tracks)] if isinstance(tracks, int) else tracks
    random = np.random.default_rng(seed)
    hardness = {name: 3 * np.random.default_rng([1, n]).normal() for n, name in enumerate(names)}
    for label, level in levels.items():
        for name in names:
            error = "out of memory" if (label, name) in failed else None
            results = (
                {}
                if error
                else {
                    stem: _result(level + hardness[name] - 2 * n, stems, random, spread)
                    for n, stem in enumerate(stems)
                }
            )
            store.save(
                Record(
                    dataset=store.settings.dataset,
                    subset="test",
                    track=name,
                    label=label,
                    method=label.partition("[")[0],
                    options={},
                    fingerprint=f"{label}{level}{name}{seed}",
                    identity={"method": label, "sepbench": "0", "audio": name, **identity},
                    stems=results,
                    seconds=None if error else 1.0 + level / 10,
                    audio_seconds=4.0,
                    peak_bytes=10**8,
                    error=error,
                    oracle=label.startswith("oracle"),
                )
            )
    return store


def _result(
    level: float, stems: tuple[str, ...], random: np.random.Generator, spread: float
) -> StemResult:
    score = level + random.normal(scale=spread)
    windows = [score - 1, score, score + 1]
    return StemResult(
        stems,
        {"SDR": windows, "SIR": [w + 4 for w in windows]},
        {
            "uSDR": score,
            "SI-SDR": score - 1,
            "mrstft-gensvs": 20 - score,  # The lower the better.
            "loudness difference": score - 20,  # Best at 0.
        },
        {"SDR": [-6.0] * 3, "SIR": [-6.0] * 3},
        {"uSDR": -6.0, "SI-SDR": -6.0},
    )


def records(folder: Path) -> Sequence[Record]:
    """Return the records of a run."""
    return contents(folder)[1]
