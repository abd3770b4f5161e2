"""Exact running medians as networks of element-wise minima and maxima.

A selection network finds a rank by a fixed sequence of ``min`` and ``max``, each of which runs over
a whole tensor at memory speed, on CPU and GPU. Networks are merged from sorted runs (Batcher
1968) and pruned to what the wanted ranks need. Neighbouring windows of a running median share the
sorting of the samples they have in common, and elements that can no longer be the median are
dropped on the way (after Adams 2021, "Fast Median Filters Using Separable Sorting Networks").
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch

_CPU_ELEMENTS = 32767
"""Elements of one operand: a network's registers stay in cache; torch uses one thread below 2^15,
where a second one does not pay."""

_GPU_ELEMENTS = 1 << 21


def running_median(signal: torch.Tensor, size: int) -> torch.Tensor:
    """Return the median of ``size`` neighbours along the first dimension, exactly.

    Ends are mirrored (``b a | a b c``), and for an even size the upper middle value is taken, as in
    `scipy.ndimage.median_filter`.

    Shape:
        signal: ``(length, ...)``; the result has the same shape.

    >>> running_median(torch.tensor([1.0, 9.0, 2.0, 3.0, 3.0]), 3)
    tensor([1., 2., 3., 3., 3.])
    """
    length, shape = signal.shape[0], signal.shape
    group = 1 << (size.bit_length() - 1)
    groups = -(-length // group)
    network = _running_network(size, group)
    mirrored = _mirror(signal.reshape(length, -1), size // 2, groups * group + size - 1)
    medians = torch.empty_like(mirrored[: groups * group])
    step = max(1, _elements(signal) // max(1, mirrored.shape[1]))
    scratch = medians.new_empty(network.registers, min(step, groups), medians.shape[1])
    for start in range(0, groups, step):
        stop = min(start + step, groups)
        rows = mirrored[start * group : stop * group + size - 1]
        windows = [rows[k : k + (stop - start - 1) * group + 1 : group] for k in range(len(rows))]
        centres = medians[start * group : stop * group]
        network.run(
            windows[: group + size - 1],
            [centres[k::group] for k in range(group)],
            scratch[:, : stop - start],
        )
    return medians[:length].view(shape)


def _elements(like: torch.Tensor) -> int:
    return _CPU_ELEMENTS if like.device.type == "cpu" else _GPU_ELEMENTS


def _mirror(signal: torch.Tensor, left: int, total: int) -> torch.Tensor:
    """Return ``total`` rows of the signal mirrored at both ends, from row ``-left`` on."""
    period = 2 * len(signal)
    rows = torch.arange(-left, total - left, device=signal.device) % period
    return signal[torch.minimum(rows, period - 1 - rows)]


@dataclass(frozen=True)
class _Network:
    """Steps ``(is_maximum, target, a, b)`` on inputs, outputs and registers, numbered in turn."""

    steps: tuple[tuple[bool, int, int, int], ...]
    copies: tuple[tuple[int, int], ...]
    registers: int

    def run(
        self,
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
        scratch: torch.Tensor,
    ) -> None:
        """Fill ``outputs`` from ``inputs``; all are of one shape, ``scratch`` holds registers."""
        places = [*inputs, *outputs, *scratch]
        for maximum, target, a, b in self.steps:
            operation = torch.maximum if maximum else torch.minimum
            operation(places[a], places[b], out=places[target])
        for target, source in self.copies:
            places[target].copy_(places[source])


@functools.lru_cache(maxsize=32)
def _running_network(size: int, group: int) -> _Network:
    """Return the network for ``group`` windows of ``size`` samples, each one further than the last.

    All windows share a core, which is sorted once. Each half of the windows shares a longer core,
    with the samples before it or after it; and so on down to one window.
    """
    comparators = _Comparators(group + size - 1)
    wanted = size // 2
    medians = [0] * group

    def descend(core: list[int], rank: int, start: int, stop: int, window: int, count: int) -> None:
        """Find ``count`` windows from the sorted ``core`` of ``start:stop``; ``core[0]`` ranks."""
        # A sample with too many below or above it in the core cannot be a window's median.
        low = max(wanted - (size - (stop - start)) - rank, 0)
        core, rank = core[low : wanted - rank + 1], rank + low
        if count == 1:
            medians[window] = core[0]
            return
        half = count // 2
        before = comparators.sort(list(range(start - half, start)))
        after = comparators.sort(list(range(stop, stop + half)))
        descend(comparators.merge(core, before), rank, start - half, stop, window, half)
        descend(comparators.merge(core, after), rank, start, stop + half, window + half, half)

    core = comparators.sort(list(range(group - 1, size)))
    descend(core, 0, group - 1, size, 0, group)
    return comparators.network(medians)


class _Comparators:
    """Records minima and maxima of values, numbered from the inputs on."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.written: dict[tuple[bool, int, int], int] = {}

    def sort(self, values: list[int]) -> list[int]:
        """Return the values in ascending order."""
        if len(values) < 2:
            return values
        half = len(values) // 2
        return self.merge(self.sort(values[:half]), self.sort(values[half:]))

    def merge(self, first: list[int], second: list[int]) -> list[int]:
        """Return two ascending runs as one, by Batcher's odd-even merge."""
        if not first or not second:
            return first or second
        if len(first) == len(second) == 1:
            return self._ordered(first[0], second[0])
        even = self.merge(first[0::2], second[0::2])
        odd = self.merge(first[1::2], second[1::2])
        merged = even[:1]
        pairs = min(len(odd), len(even) - 1)
        for low, high in zip(odd[:pairs], even[1 : pairs + 1], strict=True):
            merged += self._ordered(low, high)
        return merged + odd[pairs:] + even[pairs + 1 :]

    def _ordered(self, a: int, b: int) -> list[int]:
        a, b = min(a, b), max(a, b)
        return [
            self.written.setdefault((maximum, a, b), self.inputs + len(self.written))
            for maximum in (False, True)
        ]

    def network(self, outputs: list[int]) -> _Network:
        """Return the steps that the outputs need, on as few registers as possible."""
        steps = list(self.written)
        last_use: dict[int, int] = {}
        for value in range(self.inputs + len(steps) - 1, self.inputs - 1, -1):
            if value in outputs or value in last_use:
                for operand in steps[value - self.inputs][1:]:
                    last_use.setdefault(operand, value)
        place = {value: value for value in range(self.inputs)}
        place |= {value: self.inputs + k for k, value in enumerate(outputs) if value >= self.inputs}
        free: list[int] = []
        first_register = total = self.inputs + len(outputs)
        program = []
        for value, (maximum, a, b) in enumerate(steps, start=self.inputs):
            if value not in place and value not in last_use:
                continue
            for operand in (a, b):
                if last_use[operand] == value and place[operand] >= first_register:
                    free.append(place[operand])
            if value not in place:
                if not free:
                    free.append(total)
                    total += 1
                place[value] = free.pop()
            program.append((maximum, place[value], place[a], place[b]))
        copies = [
            (self.inputs + k, value) for k, value in enumerate(outputs) if value < self.inputs
        ]
        return _Network(tuple(program), tuple(copies), total - first_register)
