"""Reads YAML files, with one-line errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sepbench.errors import SepbenchError

_DEEPEST = 200
"""Deepest nesting of brackets that is accepted."""

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class _TwiceError(Exception):
    """A name is written twice in one mapping."""


class _Strict(yaml.SafeLoader):
    """Reads plain values; refuses a name that is written twice, of which YAML keeps the last."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Iterator[dict[Any, Any]]:
    seen = set[tuple[str, str]]()
    for name, _ in node.value:
        own = (name.tag, str(name.value))
        if own in seen:
            line = name.start_mark.line + 1
            raise _TwiceError(f"line {line}: {name.value!r} is there twice; keep one of them")
        seen.add(own)
    return loader.construct_yaml_map(node)


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)


class _TuplesAsLists(yaml.SafeLoader):
    """Reads plain values, and the tuples that PyYAML writes of Python's."""


def _sequence(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_TuplesAsLists.add_constructor("tag:yaml.org,2002:python/tuple", _sequence)


def read_yaml(file: Path | Traversable, name: str, *, tuples: bool = False) -> Any:
    """Return the plain values of a YAML file; tags that build objects are refused.

    With ``tuples``, Python's tuples are read as lists, and names may be there twice, as in files of
    other programs. Raises `SepbenchError` with ``name`` and the
    line if the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
        _check_depth(text)
        return yaml.load(text, _TuplesAsLists if tuples else _Strict)  # noqa: S506 - safe
    except UnicodeDecodeError:
        reason = "not a text file"
    except OSError as error:
        reason = f"cannot read: {(error.strerror or str(error)).lower()}"
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        reason = f"not YAML: {line}{' '.join((error.problem or '').split())}"
    except _TwiceError as error:
        raise SepbenchError(f"{name}: {error}") from None
    except RecursionError:
        reason = "not YAML: brackets are nested too deeply"
    except (yaml.YAMLError, ValueError):
        reason = "not YAML: it has an impossible value, such as a control character or a 13th month"
    raise SepbenchError(f"{name}: {reason}; give a YAML file")


def _check_depth(text: str) -> None:
    """Raise ``RecursionError`` early for nesting on which PyYAML spends minutes."""
    depth = 0
    for bracket in re.findall(r"[][{}]", text):
        depth = max(0, depth + (1 if bracket in "[{" else -1))
        if depth > _DEEPEST:
            raise RecursionError
