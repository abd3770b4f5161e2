"""Sample rate conversion: soxr at its highest quality, whole or as the samples come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import soxr

_QUALITY = "VHQ"
_CHUNK = 1 << 18


def resampled_length(samples: int, rate_in: int, rate_out: int) -> int:
    """Return how many samples ``samples`` become: the nearest number, at least 1 if there are any.

    >>> resampled_length(44100, 44100, 16000)
    16000
    """
    nearest = (2 * samples * rate_out + rate_in) // (2 * rate_in)
    return max(nearest, min(samples, 1))


def resample(samples: NDArray[np.float32], rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """Return ``samples`` at another rate (Hz), with no delay and the length rounded.

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
    """Resamples a song that comes in chunks ``(channels, samples)`` of any length.

    The joined results equal those of `resample` on the joined chunks, to the bit.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._rates = (rate_in, rate_out)
        self._stream: soxr.ResampleStream | None = None
        self._taken = self._given = 0
        self._channels = 1

    def process(self, chunk: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what can be given after ``chunk``; the resampler holds some samples back."""
        if self._stream is None:
            import soxr

            self._channels = chunk.shape[0]
            self._stream = soxr.ResampleStream(
                *self._rates, self._channels, dtype="float32", quality=_QUALITY
            )
        self._taken += chunk.shape[1]
        return self._step(chunk, last=False)

    def finish(self) -> NDArray[np.float32]:
        """Return the samples held back; nothing may be processed afterwards."""
        tail = self._step(np.zeros((self._channels, 0), np.float32), last=True)
        # soxr rounds as `resampled_length` does, but makes nothing of a single sample.
        missing = resampled_length(self._taken, *self._rates) - self._given
        return np.pad(tail, ((0, 0), (0, missing))) if missing > 0 else tail

    def _step(self, chunk: NDArray[np.float32], *, last: bool) -> NDArray[np.float32]:
        if self._stream is None:
            return chunk
        given = self._stream.resample_chunk(np.ascontiguousarray(chunk.T), last=last).T
        self._given += given.shape[1]
        return np.ascontiguousarray(given)
