"""Reads cards: YAML files whose keys are the fields of a dataclass."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

from sepbench._util.plain import is_number, is_whole
from sepbench._util.yaml_file import read_yaml
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

T = TypeVar("T")


def read_mapping(file: Path | Traversable, name: str, *, tuples: bool = False) -> dict[str, Any]:
    """Return the keys and plain values of a YAML file; with ``tuples``, Python's become lists.

    Raises `SepbenchError` for a file that cannot be read or has anything else.
    """
    if isinstance(file, Path) and not file.is_file():
        what = "a folder" if file.is_dir() else "no such file"
        raise SepbenchError(f"{name}: {what}; give the path of a YAML file")
    content = read_yaml(file, name, tuples=tuples)
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise SepbenchError(f"{name}: write it as 'key: value' lines")
    return content


def fill(kind: type[T], values: Mapping[str, Any], name: str) -> T:
    """Make a dataclass from a card, with values checked against the types of fields.

    Fields may be ``bool``, ``int``, ``float``, ``str``, ``Any``, literals, tuples of one type,
    dictionaries, dataclasses, and any of these or None. ``name`` is the card's, for messages.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Card:
    ...     run: tuple[str, ...]
    ...     rate: int = 44_100
    >>> fill(Card, {"run": ["separate", "{in}"]}, "card.yaml")
    Card(run=('separate', '{in}'), rate=44100)
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    check_keys(values, fields, name)
    given = {key: _value(hints[key], value, f"{name}: {key}") for key, value in values.items()}
    for key, field in fields.items():
        no_default = field.default is field.default_factory is dataclasses.MISSING
        if no_default and key not in given:
            raise SepbenchError(f"{name}: {key} is missing")
    return kind(**given)


def check_keys(
    values: Iterable[str], known: Iterable[str], name: str, *, noun: str = "key"
) -> None:
    """Raise `SepbenchError` for the first unknown key, with the closest known one."""
    known = list(known)
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            cure = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise SepbenchError(f"{name}: no {noun} {key!r}; {cure}")


def check_least(values: Mapping[str, float | None], name: str) -> None:
    """Raise `SepbenchError` for the first value under the least that its key names.

    >>> check_least({"rate >= 1000": 44_100, "timeout >= 0": None}, "card.yaml")
    """
    for key, value in values.items():
        word, _, least = key.partition(" >= ")
        if value is not None and not value >= float(least):
            raise SepbenchError(f"{name}: {word}: must be at least {least}, not {value:g}")


def _value(kind: Any, value: Any, name: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (one for one in arguments if one is not types.NoneType)
        return _value(kind, value, name)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], item, name) for item in value)
    if origin is dict and isinstance(value, dict):
        return {
            str(key): _value(arguments[1], item, f"{name}: {key}") for key, item in value.items()
        }
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return fill(kind, value, name)
    if kind is Any or (kind in (bool, str) and isinstance(value, kind)):
        return value
    if (kind is int and is_whole(value)) or (kind in (float, str) and is_number(value)):
        return kind(value)
    raise SepbenchError(f"{name}: expected {_words(kind)}, not {value!r}")


def _words(kind: Any) -> str:
    """Return a type in plain words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return "a list"
    if origin is dict or dataclasses.is_dataclass(kind):
        return "'key: value' lines"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]
