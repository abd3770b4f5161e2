"""Reads the metadata of weight files of any tool, without running code in them."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sepbench._util.plain import is_list_of
from sepbench.errors import SepbenchError
from sepbench.weights import container
from sepbench.weights.safe_unpickle import read_checkpoint

_LONGEST = 2**26
"""Largest accepted header of a safetensors file in bytes."""

_TORCH = {".pt", ".pth", ".ckpt", ".th", ".tar"}
_KERAS = {".h5", ".hdf5", ".keras"}


def inspect(path: Path) -> dict[str, Any]:
    """Return the ``format``, ``header`` and ``tensors`` (by name) of a weight file.

    ``tensors`` has each shape as a list. Supports safetensors (of sepbench and of others), PyTorch,
    Keras (HDF5) and ONNX. Raises `SepbenchError` for any other or damaged file, and if a required
    library is missing.
    """
    if path.is_dir():
        raise SepbenchError(f"{path}: a folder; give a weight file in it, such as a run's best.pt")
    if not path.is_file():
        raise SepbenchError(
            f"{path}: no such file; give a file of weights, such as 'sepbench weights path METHOD' "
            "prints"
        )
    suffix = path.suffix.lower()
    try:
        if suffix in _TORCH:
            return _torch(path)
        if suffix in _KERAS:
            return _keras(path)
        if suffix == ".onnx":
            return _onnx(path)
        return _safetensors(path)
    except ImportError as error:
        raise SepbenchError(
            f"{path}: reading it needs {error.name}; pip install {error.name}"
        ) from None
    except SepbenchError:
        raise
    except Exception as error:
        raise SepbenchError(
            f"{path}: damaged, or its suffix is wrong: {' '.join(str(error).split())[:200]}"
        ) from error


def _safetensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > _LONGEST:
            raise SepbenchError(f"{path}: not a known format of weights")
        table = json.loads(file.read(length))
    metadata = table.pop("__metadata__", None) or {}
    tensors = {name: entry["shape"] for name, entry in table.items()}
    if not isinstance(metadata, dict):
        raise ValueError("its metadata are not a table")
    if odd := [name for name, shape in tensors.items() if not is_list_of(int, shape)]:
        raise ValueError(f"the shape of {odd[0]} is not a list of lengths")
    if "sepbench" in metadata:
        return {"format": "sepbench", "header": container.read_header(path), "tensors": tensors}
    return {"format": "safetensors", "header": metadata, "tensors": tensors}


def _torch(path: Path) -> dict[str, Any]:
    import torch

    try:
        # Only tensors and plain values: other pickles are refused.
        content = torch.load(path, map_location="meta", weights_only=True)
    except Exception:  # torch raises many types
        # Skip objects of unknown classes, and keep tensors.
        content = read_checkpoint(path)
    if isinstance(content, dict) and {"method", "model", "config", "weights"} <= content.keys():
        return _checkpoint(content)
    tensors: dict[str, list[int]] = {}
    header: dict[str, Any] = {}
    _walk(content, "", tensors, header)
    return {"format": "torch", "header": header, "tensors": tensors}


def _checkpoint(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a run's checkpoint, without the optimiser state."""
    kept = ("method", "model", "config", "epoch", "steps", "best_epoch")
    return {
        "format": "checkpoint of sepbench",
        "header": {name: content[name] for name in kept if name in content},
        "tensors": {name: list(tensor.shape) for name, tensor in content["weights"].items()},
    }


def _walk(value: Any, name: str, tensors: dict[str, list[int]], header: dict[str, Any]) -> None:
    """Sort the entries of nested mappings into tensors and plain values."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _walk(item, f"{name}.{key}" if name else str(key), tensors, header)
    elif isinstance(value, (list, tuple)) and any(map(_holds_more, value)):
        for index, item in enumerate(value):
            _walk(item, f"{name}.{index}" if name else str(index), tensors, header)
    elif hasattr(value, "shape"):
        tensors[name] = list(value.shape)
    elif isinstance(value, (str, int, float, bool)) or value is None:
        header[name] = value


def _holds_more(value: Any) -> bool:
    """Return whether an item of a list is a tensor or holds others, unlike a plain value."""
    return isinstance(value, (Mapping, list, tuple)) or hasattr(value, "shape")


def _keras(path: Path) -> dict[str, Any]:
    import h5py

    if zipfile.is_zipfile(path):
        raise SepbenchError(f"{path}: an archive of Keras 3; unzip it, give its model.weights.h5")
    tensors: dict[str, list[int]] = {}
    with h5py.File(path, "r") as file:
        header = {
            name: value.decode() if isinstance(value, bytes) else str(value)
            for name, value in file.attrs.items()
        }

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                tensors[name] = list(item.shape)

        file.visititems(visit)
    return {"format": "keras", "header": header, "tensors": tensors}


def _onnx(path: Path) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta()
    tensors = {f"input {i.name}": list(i.shape) for i in session.get_inputs()}
    tensors |= {f"output {o.name}": list(o.shape) for o in session.get_outputs()}
    header = {"producer": meta.producer_name, **meta.custom_metadata_map}
    return {"format": "onnx", "header": header, "tensors": tensors}
