"""The status of weight files: where they are, and whether they are complete."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import sepbench
from sepbench import registry
from sepbench.errors import MethodError, SepbenchError
from sepbench.registry import Method, PluginInfo
from sepbench.separator import WeightFile
from sepbench.weights import container, files

_OWN = "a file of yours"
"""Origin of files that the user names."""


def weight_status(specs: Sequence[str] = (), *, read: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the status of each weight file of some or all methods.

    ``state`` is ``here``, ``missing`` or ``damaged``; the last requires to ``read`` the files.
    Raises `SepbenchError` for named methods that cannot determine their weights.
    """
    named = (part for method in registry.resolve_all(specs) for part in method.parts())
    for method in named if specs else _all_methods():
        with nullcontext() if specs else suppress(SepbenchError):
            yield from _rows(method, read=read)


def _rows(method: Method, *, read: bool) -> Iterator[dict[str, Any]]:
    for file in method.declared.weight_files:
        path = files.path_of(method.name, file)
        yield {
            "method": method.label,
            "file": path.name,
            "from": source(method, file),
            "path": str(path),
            "size": path.stat().st_size if path.is_file() else file.size,
            "terms": file.terms,
            "sha256": files.expected(method.name, file),
            "state": state(method, file, read=read),
        }


def source(method: Method, file: WeightFile) -> str:
    """Return the origin of a weight file as a text."""
    if file.path is None:
        return file.url or f"package {file.package}"
    # Plugins of one package may share weights; voice-gate's detector is in sepbench itself.
    own = import_module(method.separator.__module__.partition(".")[0])
    folders = (Path(str(package.__file__)).parent for package in (own, sepbench))
    inside = any(file.path.is_relative_to(folder) for folder in folders)
    return "shipped" if inside else _OWN


def state(method: Method, file: WeightFile, *, read: bool) -> files.Status:
    """Return the state of a file; its content is checked only if ``read``."""
    if not read:
        return "here" if files.is_here(method.name, file) else "missing"
    found = files.status(method.name, file)
    if found == "here" and source(method, file) == _OWN:
        return "here" if _is_intact(files.path_of(method.name, file)) else "damaged"
    return found


def _is_intact(path: Path) -> bool:
    """Return whether a file matches the hash in its header, if it has one."""
    if path.suffix == ".pt":  # A checkpoint, an archive with checksums.
        try:
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        except (OSError, zipfile.BadZipFile):
            return False
    try:
        container.verify(path)  # It may contain its own hash.
    except SepbenchError:
        return False
    return True


def files_of(name: str) -> list[WeightFile]:
    """Return the weight files of a method, for all choices of its options.

    Raises `SepbenchError` for a method that is unknown or cannot be loaded.
    """
    info = registry.plugin(name)
    if info.separator is None:
        raise MethodError(name, str(info.reason))
    return [file for method in _variants(info) for file in method.declared.weight_files]


def _all_methods() -> Iterable[Method]:
    """Yield every method with its default options, and with each choice that has other files."""
    for info in registry.plugins():
        yield from _variants(info)


def _variants(info: PluginInfo) -> Iterator[Method]:
    """Yield a method with its default options, and with each choice that has other files."""
    if info.separator is None:
        return
    chosen: list[dict[str, Any]] = [
        {},
        *(
            {field.name: choice}
            for field in fields(info.separator.Options)
            for choice in field.metadata.get("choices") or field.metadata.get("known") or ()
        ),
    ]
    seen = []
    for values in chosen:
        method = registry.variant(info.separator, values, info.distribution)
        declared = method.declared.weight_files
        if declared not in seen:
            seen.append(declared)
            yield method
