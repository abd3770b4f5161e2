"""What is known of the weight files of methods, for the verbs that show and fetch them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from sepbench.registry import Method
    from sepbench.separator import WeightFile
    from sepbench.weights import files


def rows(specs: Sequence[str], *, read: bool = False) -> Iterator[dict[str, Any]]:
    """Yield what is known of each weight file of some methods, or of all there are.

    The state of those that are here is that of their content only if it is ``read``. Raises
    `SepbenchError` for named methods whose weights cannot be told.
    """
    from sepbench import registry
    from sepbench.weights import files

    named = (part for method in registry.resolve_all(specs) for part in method.parts())
    for method in named if specs else _all_methods():
        separator = method.create()
        with nullcontext() if specs else suppress(SepbenchError):
            yield from along(method, read=read)
        for file in separator.weight_files:
            place = files.path_of(method.name, file)
            yield {
                "method": method.label,
                "file": Path(file.file).name,
                "from": file.url or f"package {file.package}",
                "path": str(place),
                "size": place.stat().st_size if place.is_file() else file.size,
                "terms": file.terms,
                "sha256": files.expected(method.name, file),
                "state": state(method.name, file, read),
            }


def state(method: str, file: WeightFile, read: bool) -> files.Status:
    """Return the state of a file's content, or only whether it is here."""
    from sepbench.weights import files

    if read:
        return files.status(method, file)
    return "here" if files.is_here(method, file) else "missing"


def along(method: Method, *, read: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the weight file that comes with the plugin, or the user's in its place, if any."""
    import inspect

    separator = method.create()
    weights = separator.weights
    if weights is None:
        return
    folder = Path(inspect.getfile(type(separator))).parent
    place = folder / weights.file
    shipped = place.is_relative_to(folder)
    state = "here" if place.is_file() else "missing"
    if read and state == "here" and not _is_whole(place, weights.sha256, shipped=shipped):
        state = "damaged"
    yield {
        "method": method.label,
        "file": place.name,
        "from": "shipped" if shipped else "a file of yours",
        "path": str(place),
        "size": place.stat().st_size if place.is_file() else None,
        "terms": separator.license.rpartition("weights ")[2] if shipped else "",
        "sha256": weights.sha256,
        "state": state,
    }


def _is_whole(place: Path, sha256: str, *, shipped: bool) -> bool:
    """Read a file through: the hash of a shipped one is known, others may know their own."""
    from sepbench._util import download
    from sepbench.weights.container import verify

    if shipped:
        return download.sha256(place) == sha256
    try:
        verify(place)
    except SepbenchError:
        return False
    return True


def _all_methods() -> Iterable[Method]:
    """Yield every method by its default options, and again for each choice that has other files."""
    from dataclasses import fields

    from sepbench import registry

    for entry in registry.plugins():
        if entry.separator is None:
            continue
        options_type = entry.separator.Options
        chosen: list[dict[str, Any]] = [
            {},
            *(
                {field.name: choice}
                for field in fields(options_type)
                for choice in field.metadata.get("choices") or ()
            ),
        ]
        seen = []
        for values in chosen:
            method = registry.variant(entry.separator, values, entry.distribution)
            files = method.create().weight_files
            if files not in seen:
                seen.append(files)
                yield method
