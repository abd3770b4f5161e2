"""What every decoder is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Decoder(Protocol):
    """One sound stream of one open file.

    ``samples`` a channel are what the file says, 0 where it does not; they are its promise where
    ``promised``, so that a file that ends before has been cut, and certain where ``exact``.
    ``notes`` may grow while samples are read.
    """

    rate: int
    channels: int
    samples: int
    exact: bool
    promised: bool
    streams: int
    notes: list[str]

    def chunks(self, first: int) -> Iterator[NDArray[np.float32] | int]:
        """Yield ``(channels, n)`` from sample ``first`` on; raise `DecodingError` at damage.

        What has to be decoded before that is told by the number of its samples.
        """

    def close(self) -> None:
        """Close the file."""


class DecodingError(Exception):
    """A decoder gave up inside a file; the text says why."""
