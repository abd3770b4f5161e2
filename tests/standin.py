"""A stand-in for a GPU: real tensors on the CPU that refuse to meet tensors made on the CPU.

A tensor on the stand-in says that its device is `DEVICE`. Whatever is made with ``device=DEVICE``,
moved there, or computed from such tensors is there too. An operation on tensors of both sides
fails, as on a GPU, and so does ``numpy()``. Values are those of the CPU, so that code that needs
them (``item``, ``equal``, ``nonzero``) goes its usual way; `WAITS` counts how often, for each
makes a GPU wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, resolve_name

DEVICE = torch.device("privateuseone", 0)

WAITS: Counter[str] = Counter()
"""How often each operation was called that makes a GPU wait for its values."""

_TO_CPU = {torch.Tensor.cpu}
_REFUSED = {torch.Tensor.numpy, torch.Tensor.__array__}
_WAITS = {
    torch.Tensor.item,
    torch.Tensor.__float__,
    torch.Tensor.__int__,
    torch.Tensor.__bool__,
    torch.Tensor.tolist,
    torch.Tensor.nonzero,
    torch.nonzero,
    torch.equal,
    torch.Tensor.equal,
    torch.Tensor.cpu,
}
_MIXES = {
    torch.Tensor.copy_,
    torch.Tensor.__getitem__,
    torch.Tensor.__setitem__,
    torch._has_compatible_shallow_copy_type,
}
"""What takes tensors of both sides on a GPU too."""


class WrongDeviceError(AssertionError):
    """Tensors of both sides met."""


class Standin(torch.Tensor):
    """A tensor on the stand-in."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return DEVICE

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copied: Any = self.detach().clone().requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            copied = torch.nn.Parameter(copied, self.requires_grad)
        memo[id(self)] = copied
        return copied

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = resolve_name(func) or getattr(func, "__name__", "?")
        if func in _REFUSED:
            raise WrongDeviceError(f"{name} of a tensor on the device; call cpu() first")
        if func in _WAITS:
            WAITS[name] += 1
        tensors = [x for x in _flat((args, kwargs)) if isinstance(x, torch.Tensor)]
        here = [x for x in tensors if isinstance(x, Standin)]
        there = [x for x in tensors if not isinstance(x, Standin) and x.dim()]
        if here and there and func not in _MIXES and func is not torch.Tensor.to:
            raise WrongDeviceError(f"{name}: a tensor {tuple(there[0].shape)} was made on the CPU")
        if func is torch.Tensor.to:
            return _moved(args[0], args[1:], kwargs)
        wanted = kwargs.pop("device", DEVICE)
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **kwargs)
        leaves = func in _TO_CPU or torch.device(wanted) != DEVICE or not here
        return _marked(found, torch.Tensor if leaves else Standin)


class OnStandin(TorchFunctionMode):
    """While it is entered, ``device=DEVICE`` and ``to(DEVICE)`` give tensors on the stand-in."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if any(isinstance(x, Standin) for x in _flat((args, kwargs))):
            return func(*args, **kwargs)
        if func is torch.Tensor.to:
            return _moved(args[0], args[1:], kwargs)
        if kwargs.get("device") is not None and torch.device(kwargs["device"]) == DEVICE:
            return _marked(func(*args, **{**kwargs, "device": "cpu"}), Standin)
        return func(*args, **kwargs)


def _moved(tensor: torch.Tensor, where: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """Return ``tensor.to(*where, **kwargs)``."""
    kind: type[torch.Tensor] = type(tensor)
    plain: list[Any] = []
    for value in (*where, kwargs.pop("device", None), kwargs.pop("other", None)):
        if isinstance(value, torch.Tensor):
            kind = Standin if isinstance(value, Standin) else torch.Tensor
            plain.append(value.dtype)
        elif isinstance(value, (str, torch.device)):
            kind = Standin if torch.device(value) == DEVICE else torch.Tensor
        elif value is not None and not isinstance(value, bool):  # That is non_blocking or copy.
            plain.append(value)
    with torch._C.DisableTorchFunctionSubclass():
        moved = tensor.as_subclass(torch.Tensor)
        return _marked(moved.to(*plain, **kwargs) if plain or kwargs else moved, kind)


def _marked(found: Any, kind: type[torch.Tensor]) -> Any:
    if isinstance(found, kind) and (kind is Standin or not isinstance(found, Standin)):
        return found  # What was changed in place stays the tensor that it was, a leaf too.
    if isinstance(found, torch.Tensor):
        return found.as_subclass(kind)
    if isinstance(found, (tuple, list)):
        made = [_marked(x, kind) for x in found]
        return type(found)(made)  # Such as the named values and indices of `max`.
    return found


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from _flat(part)
    else:
        yield value
