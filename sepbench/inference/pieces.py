"""The pieces of a song on their way through a separator: at its rate, and back in full length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from sepbench.audio import StreamResampler
from sepbench.inference.overlap_add import Chunk, Samples
from sepbench.inference.sample_queue import SampleQueue
from sepbench.separator import AnySeparator


def with_references(
    chunks: Iterable[Samples], references: Mapping[str, Samples]
) -> Iterator[Chunk]:
    """Yield the chunks of the mixture with those of the references."""
    start = 0
    for chunk in chunks:
        stop = start + chunk.shape[1]
        yield Chunk(chunk, {name: stem[:, start:stop] for name, stem in references.items()})
        start = stop


def resampled(chunks: Iterable[Chunk], rate: int, inner_rate: int) -> Iterator[Chunk]:
    """Yield chunks of one rate at another."""
    if inner_rate == rate:
        yield from chunks
        return
    mixture = StreamResampler(rate, inner_rate)
    given: dict[str, StreamResampler] = {}
    for chunk in chunks:
        given = given or {name: StreamResampler(rate, inner_rate) for name in chunk.given}
        beside = {name: given[name].process(stem) for name, stem in chunk.given.items()}
        yield Chunk(mixture.process(chunk.mixture), beside)
    yield Chunk(mixture.finish(), {name: resampler.finish() for name, resampler in given.items()})


def complete(
    separator: AnySeparator, stems: dict[str, Samples], delay: SampleQueue, *, last: bool
) -> Iterator[dict[str, Samples]]:
    """Cut the pieces to the length of the mixture, and add the remainder."""
    if not stems:
        return
    available = next(iter(stems.values())).shape[1]
    count = delay.held if last else min(available, delay.held)
    if count == 0:
        return
    if available < count:
        missing = ((0, 0), (0, count - available))
        stems = {name: np.pad(stem, missing) for name, stem in stems.items()}
    cut = {name: stem[:, :count] for name, stem in stems.items()}
    rest = delay.take(count)
    if separator.remainder is not None:
        for stem in cut.values():
            rest = rest - stem
        cut[separator.remainder] = rest
    yield cut
