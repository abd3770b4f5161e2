"""The interface of decoders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Decoder(Protocol):
    """One audio stream of an open file.

    ``samples`` per channel is the length in the header, 0 if absent. It is ``promised`` if a file
    that ends earlier must have been cut, and ``exact`` if it is certain.
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

        For samples that have to be decoded before ``first``, only their number is yielded.
        """

    def close(self) -> None:
        """Close the file."""


class DecodingError(Exception):
    """Decoding failed inside a file; the message says why."""
