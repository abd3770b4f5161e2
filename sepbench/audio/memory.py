"""Encodes audio in memory, for embedding in pages."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

# Long buffers overflow the stack of libvorbis.
_CHUNK = 1 << 16


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
        for start in range(0, samples.shape[1], _CHUNK):
            file.write(samples[:, start : start + _CHUNK].T)
    return made.getvalue()
