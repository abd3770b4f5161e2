"""Runs a separator, and then its filter of stereo songs as a stage with blocks of its own.

The filter needs seconds of context that the network need not see, and the reverse. As one stage
each block of the network would include the context of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from sepbench.dsp.wiener import MultichannelWiener
from sepbench.inference.overlap_add import Chunk, Samples, in_blocks
from sepbench.inference.sample_queue import SampleQueue
from sepbench.separator import AnySeparator, without_remainder

if TYPE_CHECKING:
    import torch


def separated(
    separator: AnySeparator,
    chunks: Iterable[Chunk],
    rate: int,
    device: torch.device,
    *,
    block_seconds: float | None = None,
) -> Iterator[dict[str, Samples]]:
    """Yield the stems of `overlap_add.in_blocks`, filtered if the separator has a filter."""
    chosen = separator.stereo_filter
    if chosen is None or not chosen.iterations:
        yield from in_blocks(separator, chunks, rate, device, block_seconds=block_seconds)
        return
    mixture = SampleQueue()

    def noted() -> Iterator[Chunk]:
        for chunk in chunks:
            mixture.put(chunk.mixture)
            yield chunk

    def estimated() -> Iterator[Chunk]:
        for made in in_blocks(separator, noted(), rate, device, block_seconds=block_seconds):
            yield Chunk(mixture.take(next(iter(made.values())).shape[-1]), made)

    stage = _FilterStage(separator, chosen)
    yield from in_blocks(stage, estimated(), rate, device, block_seconds=block_seconds)


class _FilterStage(AnySeparator):
    """The filter of a separator, with the separator's name and stems."""

    summary = "Filters the stems of another separator."
    license = citation = ""

    def __init__(self, separator: AnySeparator, chosen: MultichannelWiener) -> None:
        super().__init__(separator.options)
        self.name = separator.name  # type: ignore[misc]  # That of the separator, for messages.
        self._separator, self._chosen = separator, chosen

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems that the separator makes itself."""
        return tuple(without_remainder(self._separator))

    @property
    def context(self) -> float:
        """Seconds to each side that the filter needs."""
        return self._chosen.reach

    def process(
        self, mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the refined stems."""
        return self._chosen.refine(mixture, given)
