"""Small data sets in each layout, made for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import soundfile
from songs import Samples, white

RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")


def song(seconds: float = 0.25, seed: int = 0) -> dict[str, Samples]:
    """Stems and mixture in whole 16-bit numbers, the mixture their exact sum."""
    stems = {
        name: white(2, round(seconds * RATE), seed=(seed, number), peak=0.18)
        for number, name in enumerate(STEMS)
    }
    return {"mixture": np.sum(list(stems.values()), axis=0, dtype=np.float32), **stems}


def write_wavs(folder: Path, parts: Mapping[str, Samples], suffix: str = ".wav") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, samples in parts.items():
        soundfile.write(folder / f"{name}{suffix}", samples.T, RATE)


def write_stems_file(path: Path, parts: Mapping[str, Samples]) -> None:
    """Write a STEMS file: five AAC streams, the mixture first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        streams = [container.add_stream("aac", rate=RATE, layout="stereo") for _ in parts]
        for stream, samples in zip(streams, parts.values(), strict=True):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples), format="fltp", layout="stereo"
            )
            frame.rate, frame.pts = RATE, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
