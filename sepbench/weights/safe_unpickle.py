"""Tensors and plain values out of a checkpoint of torch, without running what else is in it."""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepbench.errors import SepbenchError

_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<?",
}
_LARGEST = 2**30
"""Bytes of all tensors together; none of these networks comes near."""


class Foreign:
    """Stands where an object of a class nobody here knows would be; it does nothing.

    `arguments` are what it would have been made of.
    """

    def __new__(cls, *arguments: object, **_: object) -> Foreign:
        """Keep the arguments."""
        self = super().__new__(cls)
        self.arguments = arguments
        return self

    arguments: tuple[object, ...]

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def __call__(self, *_: object, **__: object) -> Foreign:
        """Return another that does nothing."""
        return Foreign()

    def append(self, item: object) -> None:
        """Forget what it would have held."""

    add = append

    def extend(self, items: object) -> None:
        """Forget what it would have held."""


@dataclass(frozen=True)
class _Storage:
    kind: object
    key: str
    length: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what ``torch.save`` wrote of a dictionary.

    Tensors come as arrays, plain containers and values as they are, and everything else, functions
    included, as `Foreign`: nothing that the file names is imported or called. Raises
    `SepbenchError` for what is no checkpoint or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(names) != 1:
                raise ValueError("not one data.pkl in it")
            with archive.open(names[0]) as stream:
                content = _Reader(stream).load()
            if not isinstance(content, dict):
                raise ValueError("it holds no dictionary")
            folder = names[0].removesuffix("data.pkl") + "data/"
            order = names[0].removesuffix("data.pkl") + "byteorder"
            if order in archive.namelist() and archive.read(order) != b"little":
                raise ValueError("its bytes stand in big-endian order")
            tensors = _Tensors(archive, folder)
            return {key: tensors.filled(value) for key, value in content.items()}
    except FileNotFoundError:
        raise SepbenchError(f"{path}: no such checkpoint") from None
    except Exception as error:  # a pickle can fail in every way
        if path.is_dir():
            raise SepbenchError(f"{path}: a folder; give the checkpoint in it") from None
        # Only what is raised here says more to a user than that.
        reason = f" ({error})" if type(error) is ValueError else ""
        raise SepbenchError(
            f"{path}: not a checkpoint of torch, or damaged{reason}; get it anew"
        ) from None


class _Reader(pickle.Unpickler):
    """An unpickler that knows two names, both its own; every other is `Foreign`."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        return Foreign

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, length = pid
        return _Storage(kind, str(key), int(length))


class _Rebuild:
    """Notes down what a tensor is made of; no pickle can change it, as it has no attributes."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass

    def __call__(
        self, storage: object, offset: int, shape: Any, strides: Any, *_: object
    ) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor without storage")
        return _Tensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


class _Tensors:
    """The tensors in an archive, of which no more than `_LARGEST` bytes are read."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive, self._folder = archive, folder
        self._left = _LARGEST

    def filled(self, value: Any) -> Any:
        """Replace the descriptions of tensors in nested dictionaries by their arrays."""
        if isinstance(value, _Tensor):
            return self._array(value)
        if isinstance(value, Mapping):
            return {key: self.filled(item) for key, item in value.items()}
        return value

    def _array(self, tensor: _Tensor) -> NDArray[Any]:
        storage = tensor.storage
        if not isinstance(storage.kind, str):
            raise ValueError("a storage of unknown type")
        kind = np.dtype(storage.kind)
        entry = self._archive.getinfo(self._folder + storage.key)
        if entry.file_size != storage.length * kind.itemsize:
            raise ValueError(f"storage {storage.key} has another size than said")
        # Many tensors may share one storage: each is read and copied.
        self._left -= entry.file_size
        if self._left < 0:
            raise ValueError("it is larger than any network of its kind")
        lowest = min((tensor.offset, *tensor.shape, *tensor.strides))
        reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
        if math.prod(tensor.shape) > storage.length:
            raise ValueError("a tensor larger than its storage")
        if lowest < 0 or (0 not in tensor.shape and tensor.offset + reach >= storage.length):
            raise ValueError(f"a tensor beyond its storage {storage.key}")
        flat = np.frombuffer(self._archive.read(entry), kind)[tensor.offset :]
        strides = tuple(step * kind.itemsize for step in tensor.strides)
        return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False).copy()
