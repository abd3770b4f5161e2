"""What the stems in a folder were made of: a file ``separated.json`` beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from sepbench._util.files import write_atomic
from sepbench._util.walk import MANIFEST

NAME = MANIFEST
"""Maps the name of each stem's file to the song, the part of it, and the method that made it."""

Origin = Literal["same", "other", "unknown"]


def origin(path: Path, made_of: Mapping[str, Any]) -> Origin:
    """Tell whether a file was made of this very song and method, of others, or by who knows."""
    known = _read(path.parent).get(path.name)
    if known is None:
        return "unknown"
    return "same" if known == _plain(made_of) else "other"


def remember(paths: Iterable[Path], made_of: Mapping[str, Any]) -> None:
    """Write down what files were made of, beside them; forget files that are gone."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    for folder, files in folders.items():
        known = {name: what for name, what in _read(folder).items() if (folder / name).is_file()}
        known.update({path.name: _plain(made_of) for path in files})
        text = json.dumps(dict(sorted(known.items())), indent=1, ensure_ascii=False)
        write_atomic(folder / NAME, text + "\n")


def _read(folder: Path) -> dict[str, Any]:
    """Return what is known of the files in a folder; nothing where that is absent or damaged."""
    try:
        known = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _plain(made_of: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(made_of))
