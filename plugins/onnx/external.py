"""Finds the files beside a model in ONNX that hold its tensors."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from sepbench.weights.container import sha256

_LOCATION = re.compile(rb"\n\x08location\x12([\x80-\xff]*[\x00-\x7f])")
"""The entry ``location`` of a tensor's external data in protobuf, to the length of its value."""


def digests(model: Path) -> dict[str, dict[str, str]]:
    """Return, as ``tensors``, the sha256 of each file with tensors of a model; empty without any.

    Exporters write large tensors into such files. If these change, the same model file is another
    network.
    """
    if model.stat().st_size == 0:  # It cannot be mapped.
        return {}
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        names = set()
        for entry in _LOCATION.finditer(content):
            length = sum((byte & 0x7F) << (7 * index) for index, byte in enumerate(entry[1]))
            name = content[entry.end() : entry.end() + length]
            names.add(name.decode(errors="surrogateescape"))
    paths = {name: model.parent / name for name in sorted(names)}
    found = {name: sha256(path) for name, path in paths.items() if path.is_file()}
    return {"tensors": found} if found else {}
