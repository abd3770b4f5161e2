"""Reads tensors and plain values from torch checkpoints without running code in them."""

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
"""Largest total size of tensors in bytes, far above all supported networks."""


class Foreign:
    """A placeholder for an object of an unknown class.

    `arguments` are those of its constructor.
    """

    def __new__(cls, *arguments: object, **_: object) -> Foreign:
        """Store the arguments."""
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
        """Return another placeholder."""
        return Foreign()

    def append(self, item: object) -> None:
        """Ignore its state."""

    add = append

    def extend(self, items: object) -> None:
        """Ignore its state."""


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
    """Return a dictionary written by ``torch.save``.

    Tensors become arrays, plain containers and values stay, and everything else, functions
    included, becomes `Foreign`: nothing named in the file is imported or called. Raises
    `SepbenchError` for other or damaged files.
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
                raise ValueError("its byte order is big-endian")
            tensors = _Tensors(archive, folder)
            return {key: tensors.filled(value) for key, value in content.items()}
    except FileNotFoundError:
        raise SepbenchError(f"{path}: no such checkpoint") from None
    except Exception as error:  # a pickle may raise anything
        if path.is_dir():
            raise SepbenchError(f"{path}: a folder; give the checkpoint in it") from None
        # Only our own errors are helpful to users.
        reason = f" ({error})" if type(error) is ValueError else ""
        raise SepbenchError(
            f"{path}: not a checkpoint of torch, or damaged{reason}; get it again"
        ) from None


class _Reader(pickle.Unpickler):
    """An unpickler that resolves two names to its own functions, all others to `Foreign`."""

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
    """Records the description of a tensor; without attributes, so that no pickle can change it."""

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
    """The tensors in an archive, up to `_LARGEST` bytes."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive, self._folder = archive, folder
        self._left = _LARGEST

    def filled(self, value: Any) -> Any:
        """Replace descriptions of tensors in nested dictionaries by arrays."""
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
            raise ValueError(f"storage {storage.key} has a wrong size")
        # Many tensors may share one storage: each is copied.
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
