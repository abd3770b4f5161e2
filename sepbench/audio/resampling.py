"""Sample rate conversion by soxr at its highest quality, whole or in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import soxr

_QUALITY = "VHQ"
_CHUNK = 1 << 18


def resampled_length(samples: int, rate_in: int, rate_out: int) -> int:
    """Return the length after resampling: the nearest integer, at least 1 for a non-empty input.

    >>> resampled_length(44100, 44100, 16000)
    16000
    """
    nearest = (2 * samples * rate_out + rate_in) // (2 * rate_in)
    return max(nearest, min(samples, 1))


def resample(samples: NDArray[np.float32], rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """Return ``samples`` at another rate (Hz), without delay, the length rounded.

    Shape:
        samples: ``(channels, samples)``.
        result: ``(channels, resampled_length(samples, rate_in, rate_out))``.
    """
    if rate_in == rate_out:
        return samples
    resampler = StreamResampler(rate_in, rate_out)
    starts = range(0, samples.shape[1], _CHUNK)
    pieces = [resampler.process(samples[:, start : start + _CHUNK]) for start in starts]
    if not pieces:
        return samples
    return np.concatenate([*pieces, resampler.finish()], axis=1)


class StreamResampler:
    """Resamples a song given in chunks ``(channels, samples)`` of any length.

    The joined results are bit-identical to `resample` of the joined chunks.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._rates = (rate_in, rate_out)
        self._stream: soxr.ResampleStream | None = None
        self._taken = self._given = 0
        self._channels = 1

    def process(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the output available after ``chunk``; the resampler delays some samples."""
        if self._stream is None:
            import soxr

            self._channels = chunk.shape[0]
            self._stream = soxr.ResampleStream(
                *self._rates, self._channels, dtype="float32", quality=_QUALITY
            )
        self._taken += chunk.shape[1]
        return self._step(chunk, last=False)

    def finish(self) -> NDArray[np.float32]:
        """Return the delayed samples; nothing may be processed afterwards."""
        tail = self._step(np.zeros((self._channels, 0), np.float32), last=True)
        # soxr rounds as `resampled_length` does, but returns nothing for a single sample.
        missing = resampled_length(self._taken, *self._rates) - self._given
        return np.pad(tail, ((0, 0), (0, missing))) if missing > 0 else tail

    def _step(self, chunk: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        if self._stream is None:
            return chunk
        given = self._stream.resample_chunk(np.ascontiguousarray(chunk.T), last=last).T
        self._given += given.shape[1]
        return np.ascontiguousarray(given)
