"""Options of a method: declared once as a dataclass, read from ``name[opt=value]`` and YAML."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from sepbench import errors
from sepbench.errors import SepbenchError

_SPEC = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<options>.*)\])?", re.DOTALL)
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class NoOptions:
    """The options of a method that has none."""


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[Any] | None = None,
    known: Sequence[Any] = (),
    unnamed: bool = False,
) -> Any:
    """Declare one option as a field of a method's ``Options`` dataclass.

    ``minimum`` and ``maximum`` are inclusive. The field's annotation (``int``, ``float``, ``bool``
    or ``str``) says how text is read. ``choices`` are all allowed values; ``known`` are some of
    them, such as the names of weights that come with a method. The value of an ``unnamed`` option
    may come first without its name, as in ``name[value]``, and labels always show it so.
    """
    facts = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    metadata = {**facts, "known": tuple(known), "unnamed": unnamed}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def parse_spec(text: str, *, kind: str = "method") -> tuple[str, dict[str, list[str]]]:
    """Split ``name[opt=value,opt=value,value]`` into the name and the values of each option.

    Several values of one option give several variants. Values before the first option's name have
    the empty name. Brackets may be nested.

    >>> parse_spec("hpss[margin=1,2,4]")
    ('hpss', {'margin': ['1', '2', '4']})
    >>> parse_spec("ensemble[unet+hpss[margin=2],domain=masks]")
    ('ensemble', {'': ['unet+hpss[margin=2]'], 'domain': ['masks']})
    """
    matched = _SPEC.fullmatch(text.strip())
    inside = (matched and matched["options"]) or ""
    if not _is_balanced(text):
        raise SepbenchError(f"{kind} {text!r}: its brackets do not match")
    if matched is None or not _is_balanced(inside):
        raise SepbenchError(f"{kind} {text!r}: write it as NAME or NAME[option=value,...]")
    values: dict[str, list[str]] = {}
    key = ""
    for part in filter(None, map(str.strip, split(inside, ","))):
        named, *rest = split(part, "=")
        if rest:
            key, part = named.strip(), "=".join(rest).strip()
        values.setdefault(key, []).append(part)
    return matched["name"].strip(), values


def split(text: str, mark: str) -> list[str]:
    """Split ``text`` at each ``mark`` outside of brackets.

    >>> split("unet+hpss[a+b]", "+")
    ['unet', 'hpss[a+b]']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _is_balanced(text: str) -> bool:
    depths = list(itertools.accumulate((c == "[") - (c == "]") for c in text))
    return not depths or (min(depths) >= 0 and depths[-1] == 0)


def expand(values: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return one choice of values for each combination, first option slowest.

    >>> expand({"margin": ["1", "2"], "kernel": ["31"]})
    [{'margin': '1', 'kernel': '31'}, {'margin': '2', 'kernel': '31'}]
    """
    return [
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    ]


def build(options_type: type[Any], values: Mapping[str, Any], *, method: str) -> Any:
    """Make the options of ``method`` from texts or YAML values, checked against their ranges."""
    return read_fields(options_type, values, where=f"method {method}")


def read_fields(
    options_type: type[Any], values: Mapping[str, Any], *, where: str, noun: str = "option"
) -> Any:
    """Make a dataclass from texts or YAML values, each checked against its field's range.

    Fields are declared by `option`; their annotations are ``int``, ``float``, ``bool``, ``str``,
    tuples of these, or mappings from ``str``. Raises `SepbenchError` for unknown fields and wrong
    values, in one line that begins with ``where`` and calls a field a ``noun``.

    >>> @dataclass(frozen=True)
    ... class Room:
    ...     seconds: float = option(0.5, "reverberation time", minimum=0)
    >>> read_fields(Room, {"seconds": "2"}, where="room.yaml")
    Room(seconds=2.0)
    """
    types = get_type_hints(options_type)
    fields = {field.name: field for field in dataclasses.fields(options_type)}
    unnamed = next((name for name, field in fields.items() if _is_unnamed(field)), None)
    checked = {}
    for key, value in values.items():
        name = str(key).replace("-", "_") or unnamed
        if name is None:
            raise SepbenchError(f"{where}: {value!r} has no {noun} name; write {noun}={value}")
        if name in checked:
            raise SepbenchError(f"{where}: {noun} {name!r} is given twice")
        if name not in fields:
            instead = _instead(name, list(fields), noun)
            raise SepbenchError(f"{where}: no {noun} {key!r}{instead}")
        checked[name] = _check(fields[name], types[name], value, f"{where}: {noun}")
    try:
        return options_type(**checked)
    except SepbenchError:
        raise
    except Exception as error:  # A plugin's __post_init__ may raise anything.
        raise SepbenchError(f"{where}: {errors.describe(error)}") from error


def describe(options_type: type[Any]) -> list[dict[str, Any]]:
    """Return name, type, default, range, choices and help of every option, ready for JSON."""
    types = get_type_hints(options_type)
    return [
        {
            "name": field.name,
            "type": types[field.name].__name__,
            "default": field.default,
            "unnamed": _is_unnamed(field),
            **{
                key: field.metadata.get(key)
                for key in ("minimum", "maximum", "choices", "known", "help")
            },
        }
        for field in dataclasses.fields(options_type)
    ]


def unfit(options_type: type[Any]) -> str | None:
    """Return why options cannot be read from text or listed as JSON, or None."""
    types = get_type_hints(options_type)
    for field in dataclasses.fields(options_type):
        kind = types[field.name]
        if kind not in _WORDS:
            known = ", ".join(known.__name__ for known in _WORDS)
            return f"option {field.name} is of type {getattr(kind, '__name__', kind)}, not {known}"
    try:
        json.dumps(describe(options_type))
    except (TypeError, ValueError, RecursionError):
        return "an option has a default, a limit or a choice that JSON cannot hold"
    return None


def variant_name(method: str, options: Any) -> str:
    """Return the canonical name of a method variant: ``name`` or ``name[opt=value,...]``.

    It contains the options that differ from their defaults, in the order of declaration.
    """
    shown = []
    for field in sorted(dataclasses.fields(options), key=lambda field: not _is_unnamed(field)):
        value = getattr(options, field.name)
        if _is_unnamed(field):
            shown.append(_text(value))
        elif value != field.default:
            shown.append(f"{field.name}={_text(value)}")
    return f"{method}[{','.join(shown)}]" if shown else method


def _is_unnamed(field: dataclasses.Field[Any]) -> bool:
    return bool(field.metadata.get("unnamed"))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _instead(name: str, known: list[str], noun: str) -> str:
    if not known:
        return f"; it has no {noun}s"
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; it has {', '.join(known)}"


def _check(field: dataclasses.Field[Any], kind: Any, value: Any, what: str) -> Any:
    shown = f"{what} {field.name}={value}"
    try:
        converted = _convert(value, kind)
    except (ValueError, TypeError, OverflowError):
        raise SepbenchError(f"{shown}: expected {_kind_name(kind)}") from None
    numbers = converted if isinstance(converted, tuple) else (converted,)
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        raise SepbenchError(f"{shown}: must be a finite number")
    low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
    choices = field.metadata.get("choices")
    if choices is not None and converted not in choices:
        # The empty choice is the default of an option that need not be given.
        raise SepbenchError(f"{shown}: choose one of {', '.join(filter(None, map(str, choices)))}")
    if (low is not None and converted < low) or (high is not None and converted > high):
        raise SepbenchError(f"{shown}: must be {_range(low, high)}")
    return converted


def _convert(value: Any, kind: Any) -> Any:
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        if isinstance(value, str):
            raise TypeError(value)
        each = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_convert(item, one) for item, one in zip(value, each, strict=True))
    if inner:
        return {str(key): _convert(item, inner[1]) for key, item in dict(value).items()}
    if kind is bool:
        return value if isinstance(value, bool) else _boolean(str(value))
    if isinstance(value, bool) and kind in (int, float):
        raise TypeError(value)  # In Python True equals 1; in a config they differ.
    if kind is int:
        number = float(value)
        if number != int(number):
            raise ValueError(value)
        return int(number)
    return kind(value)


def _kind_name(kind: Any) -> str:
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        several = "values" if inner[-1] is Ellipsis else f"{len(inner)} values"
        return f"a list of {several}, each {_kind_name(inner[0])}"
    if inner:
        return f"lines of 'name: value', each value {_kind_name(inner[1])}"
    return _WORDS.get(kind, str(kind.__name__))


def _boolean(word: str) -> bool:
    if word.lower() not in _BOOLEANS:
        raise ValueError(word)
    return _BOOLEANS[word.lower()]


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"
