"""Reads YAML, and says in one line what is wrong with a file of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sepbench.errors import SepbenchError

_DEEPEST = 200
"""Brackets within brackets; nobody writes as many."""

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def read_yaml(file: Path | Traversable, name: str) -> Any:
    """Return what is in a file of YAML: plain values alone, whatever its tags say.

    Raises `SepbenchError`, with the file as ``name`` and the line, for one that cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
        _check_depth(text)
        return yaml.safe_load(text)
    except UnicodeDecodeError:
        reason = "not a text file"
    except OSError as error:
        reason = f"cannot read: {(error.strerror or str(error)).lower()}"
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        reason = f"not YAML: {line}{' '.join((error.problem or '').split())}"
    except RecursionError:
        reason = "not YAML: brackets within brackets without end"
    except (yaml.YAMLError, ValueError):
        reason = "not YAML: it holds what cannot be, such as control letters or a 13th month"
    raise SepbenchError(f"{name}: {reason}; give a file of YAML")


def _check_depth(text: str) -> None:
    """Raise ``RecursionError`` for brackets so deep that PyYAML takes minutes to say so."""
    depth = 0
    for bracket in re.findall(r"[][{}]", text):
        depth = max(0, depth + (1 if bracket in "[{" else -1))
        if depth > _DEEPEST:
            raise RecursionError
