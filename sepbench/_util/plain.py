"""Plain values of JSON, YAML and headers, whose types nothing guarantees."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


def is_number(value: Any) -> bool:
    """Return whether a value is a number; in Python ``True`` is one, in a file it is not.

    >>> is_number(1.5), is_number(2), is_number(True), is_number("2")
    (True, True, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number, written as one.

    >>> is_whole(2), is_whole(2.0), is_whole(True)
    (True, False, False)
    """
    return is_number(value) and isinstance(value, int)


def is_list_of(kind: type, value: Any) -> bool:
    """Return whether a value is a list of one type.

    >>> is_list_of(str, ["a", "b"]), is_list_of(str, ["a", 1]), is_list_of(str, "ab")
    (True, False, False)
    """
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def finite(value: Any) -> Any:
    """Return a nested value as JSON can hold it: NaN and infinity become ``None``.

    >>> finite({"a": [1.0, float("nan")], "b": (2, "x")})
    {'a': [1.0, None], 'b': [2, 'x']}
    """
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, empty if the file is absent or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
