"""The order of a network's axes as a text such as ``b(cr)ft``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import torch

NAMES = {
    "b": "batch",
    "s": "stem",
    "c": "channel",
    "r": "real and imaginary part",
    "f": "frequency",
    "t": "time",
}
ORDER = "".join(NAMES)
"""The order inside sepbench."""

_PATTERN = re.compile(r"(?:[bscrft]|\([bscrft]+\))+")


def groups(text: str) -> list[str]:
    """Return the axes that each dimension holds, slowest first.

    Raises `SepbenchError` for an invalid text, or one with an axis twice.

    >>> groups("b(cr)ft")
    ['b', 'cr', 'f', 't']
    """
    letters = text.replace("(", "").replace(")", "")
    if not _PATTERN.fullmatch(text) or len(set(letters)) < len(letters):
        raise SepbenchError(
            f"axes {text!r}: write each of {', '.join(f'{k} ({v})' for k, v in NAMES.items())} "
            "once at most, those that share a dimension in parentheses"
        )
    return [shared or single for shared, single in re.findall(r"\((\w+)\)|(\w)", text)]


def batch_dimension(text: str) -> int | None:
    """Return which dimension is the batch, None where a network takes one chunk at a time.

    >>> batch_dimension("cbt"), batch_dimension("ct")
    (1, None)
    """
    return groups(text).index("b") if "b" in text else None


def shape(text: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of a tensor with these axes."""
    return tuple(math.prod(sizes[axis] for axis in group) for group in groups(text))


def pack(tensor: torch.Tensor, text: str) -> torch.Tensor:
    """Reorder a tensor ``(b, s, c, r, f, t)`` by ``text``; other axes must have size 1.

    >>> import torch
    >>> pack(torch.zeros(1, 1, 2, 2, 5, 7), "b(cr)ft").shape
    torch.Size([1, 4, 5, 7])
    """
    sizes = dict(zip(ORDER, tensor.shape, strict=True))
    named = "".join(groups(text))
    rest = [axis for axis in ORDER if axis not in named]
    moved = tensor.permute([ORDER.index(axis) for axis in (*named, *rest)])
    return moved.reshape(shape(text, sizes))


def unpack(tensor: torch.Tensor, text: str, sizes: Mapping[str, int]) -> torch.Tensor:
    """Undo `pack`: return ``(b, s, c, r, f, t)``, given the ``sizes`` of all axes.

    >>> import torch
    >>> sizes = {"b": 1, "s": 1, "c": 2, "r": 2, "f": 5, "t": 7}
    >>> unpack(torch.zeros(1, 4, 5, 7), "b(cr)ft", sizes).shape
    torch.Size([1, 1, 2, 2, 5, 7])
    """
    named: Sequence[str] = "".join(groups(text))
    rest = [axis for axis in ORDER if axis not in named]
    split = tensor.reshape([sizes[axis] for axis in named] + [1] * len(rest))
    order = [*named, *rest]
    return split.permute([order.index(axis) for axis in ORDER])
