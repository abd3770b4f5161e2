"""Queues of samples, to delay and to align pieces of different lengths."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sepbench.inference.overlap_add import Samples, join


class SampleQueue:
    """A queue of samples: pieces taken out may differ in length from those put in.

    Shape:
        each piece: ``(..., n)``, alike but for ``n``.
    """

    def __init__(self) -> None:
        self._pieces: deque[NDArray[np.float32]] = deque()
        self.held = 0

    def put(self, piece: NDArray[np.float32]) -> None:
        """Queue a piece."""
        self._pieces.append(piece)
        self.held += piece.shape[-1]

    def tee(self, chunks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Yield chunks, and also queue each."""
        for chunk in chunks:
            self.put(chunk)
            yield chunk

    def take(self, count: int) -> NDArray[np.float32]:
        """Return the next ``count`` samples of the queue."""
        taken = []
        self.held -= count
        while count:
            piece = self._pieces.popleft()
            if piece.shape[-1] > count:
                self._pieces.appendleft(piece[..., count:])
                piece = piece[..., :count]
            taken.append(piece)
            count -= piece.shape[-1]
        return join(taken)


def in_step(sources: Sequence[Iterable[NDArray[np.float32]]]) -> Iterator[list[Samples]]:
    """Yield pieces ``(..., n)`` of equal length from sources with pieces of different lengths.

    Ends with the shortest source.
    """
    queues = [SampleQueue() for _ in sources]
    flows = [queue.tee(source) for queue, source in zip(queues, sources, strict=True)]
    while True:
        for queue, flow in zip(queues, flows, strict=True):
            while not queue.held:
                if next(flow, None) is None:
                    return
        count = min(queue.held for queue in queues)
        yield [queue.take(count) for queue in queues]
