"""Holds samples back, and brings pieces of different lengths into step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sepbench.inference.overlap_add import Samples, join


class SampleQueue:
    """Holds samples until they are taken, in pieces of other lengths than they came in."""

    def __init__(self) -> None:
        self._pieces: deque[NDArray[np.float32]] = deque()
        self.held = 0

    def tee(self, chunks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Pass chunks on, and hold each until it is taken."""
        for chunk in chunks:
            self._pieces.append(chunk)
            self.held += chunk.shape[-1]
            yield chunk

    def take(self, count: int) -> NDArray[np.float32]:
        """Return the next ``count`` samples of those held."""
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
    """Yield pieces of equal length from sources of equal length, whatever pieces they come in."""
    queues = [SampleQueue() for _ in sources]
    flows = [queue.tee(source) for queue, source in zip(queues, sources, strict=True)]
    while True:
        for queue, flow in zip(queues, flows, strict=True):
            while not queue.held:
                if next(flow, None) is None:
                    return
        count = min(queue.held for queue in queues)
        yield [queue.take(count) for queue in queues]
