"""Encodes audio in memory, for embedding in pages."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from sepbench.audio.encoders import MAX_BLOCK


def ogg(samples: NDArray[np.float32], rate: int) -> bytes:
    """Return ``samples`` as an Ogg file (Vorbis at about 128 kbit/s in stereo).

    Shape:
        samples: ``(channels, samples)``; players clip beyond full scale, which is 1.
    """
    import soundfile

    made = io.BytesIO()
    with soundfile.SoundFile(
        made, "w", rate, samples.shape[0], format="OGG", subtype="VORBIS"
    ) as file:
        for start in range(0, samples.shape[1], MAX_BLOCK):
            file.write(samples[:, start : start + MAX_BLOCK].T)
    return made.getvalue()
