"""Types and bounds of the facts that separators declare."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import is_dataclass
from math import isfinite
from typing import Any, NamedTuple

from sepbench import options
from sepbench._util.plain import is_number, is_whole
from sepbench.dsp.wiener import MultichannelWiener
from sepbench.errors import SepbenchError, describe
from sepbench.separator import AnySeparator, Ensemble, Requirement, SampleCount, WeightFile
from sepbench.stems import is_stem_name

RATES = (1000, 768_000)
"""Lowest and highest sample rate in Hz."""

_MOST_CONTEXT = 3600.0
"""Seconds."""

_MOST_SAMPLES = int(_MOST_CONTEXT * RATES[1])
_MOST_ALIGNMENT = 1 << 22
"""Samples."""

_MOST_STEMS = 64
_MOST_ITERATIONS = 100
_LEVELS = (-100, 40)
"""Lowest and highest level in dB of full scale."""

_MOST_MEMORY = 1e12
"""Bytes for a second."""

_SHOWN = 40
"""Letters of a wrong value that are shown."""


class _Check(NamedTuple):
    """Whether a value is one for a fact, and what to declare instead."""

    is_right: Callable[[Any], bool]
    cure: str


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: is_whole(value) and least <= value <= most


def _number(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: is_number(value) and least <= value <= most


def _or_none(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_right(value)


def _is_length(value: Any) -> bool:
    if isinstance(value, SampleCount):
        return _whole(0, _MOST_SAMPLES)(value.count)
    return _number(0, _MOST_CONTEXT)(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_row_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, (tuple, list)) and all(isinstance(item, kind) for item in value)
    )


def _are_stems(value: Any) -> bool:
    return (
        _is_row_of(str)(value)
        and 1 <= len(value) <= _MOST_STEMS
        and len(set(value)) == len(value)
        and all(map(is_stem_name, value))
    )


def _are_songs(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(mark, str) and is_number(seconds) and isfinite(seconds)
        for mark, seconds in value.items()
    )


def _is_filter(value: Any) -> bool:
    return (
        isinstance(value, MultichannelWiener)
        and _whole(*RATES)(value.rate)
        and _whole(0, _MOST_ITERATIONS)(value.iterations)
    )


def _are_sounds(value: Any) -> bool:
    return isinstance(value, Set) and all(isinstance(mark, str) for mark in value)


def _is_json(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


_TEXT = _Check(_is_text, "declare a text")
_BOOL = _Check(_is_bool, "declare True or False")
_LENGTH = _Check(
    _or_none(_is_length),
    f"declare 0 to {_MOST_CONTEXT:g} seconds, a SampleCount, or None for the whole song",
)

_CHECKS = {
    "summary": _TEXT,
    "version": _TEXT,
    "license": _TEXT,
    "citation": _TEXT,
    "stems": _Check(
        _are_stems,
        f"declare a tuple of 1 to {_MOST_STEMS} different names of lower-case letters, digits, "
        "'_' and '-'",
    ),
    "remainder": _Check(_or_none(_is_text), "declare one of its stems, or None"),
    "sample_rate": _Check(
        _or_none(_whole(*RATES)), f"declare a whole number, {RATES[0]} to {RATES[1]} Hz, or None"
    ),
    "channels": _Check(
        _or_none(_whole(1, 2)),
        "declare 1 for one at a time, 2 for pairs, or None for any number",
    ),
    "context": _LENGTH,
    "block_context": _LENGTH,
    "block_alignment": _Check(
        _whole(1, _MOST_ALIGNMENT), f"declare 1 to {_MOST_ALIGNMENT} samples"
    ),
    "level": _Check(
        _or_none(_number(*_LEVELS)), f"declare {_LEVELS[0]} to {_LEVELS[1]} dB, or None"
    ),
    "stereo_filter": _Check(
        _or_none(_is_filter),
        f"declare a sepbench.dsp.wiener.MultichannelWiener of 0 to {_MOST_ITERATIONS} iterations, "
        "or None",
    ),
    "memory_per_second": _Check(
        _or_none(_number(0, _MOST_MEMORY)), f"declare 0 to {_MOST_MEMORY:g} bytes, or None"
    ),
    "needs_references": _BOOL,
    "warms_up": _BOOL,
    "batch": _BOOL,
    "trained_on": _Check(_is_row_of(str), "declare a tuple of names of data sets"),
    "trained_songs": _Check(_are_songs, "declare a mapping of names of songs to seconds"),
    "trained_sounds": _Check(_are_sounds, "declare a frozenset of digests"),
    "preload": _Check(_or_none(_is_text), "declare the name of a module, or None"),
    "members": _Check(_is_row_of(AnySeparator), "leave it to the Ensemble"),
    "needs": _Check(_is_row_of(Requirement), "declare a tuple of Requirement"),
    "Options": _Check(
        lambda value: isinstance(value, type) and is_dataclass(value), "declare a dataclass"
    ),
}

_FROM_FILES = {
    "weight_files": _Check(_is_row_of(WeightFile), "declare a tuple of WeightFile"),
    "provenance": _Check(_is_json, "declare a mapping that JSON can hold, without NaN"),
}
"""Facts that may take time, because they are digests of files."""

_READ_TWICE = (
    "version",
    "stems",
    "remainder",
    "sample_rate",
    "channels",
    "context",
    "block_context",
    "block_alignment",
    "level",
    "stereo_filter",
)
"""Facts that decide the numbers: those of two reads must be the same."""

FACTS = (*_CHECKS, *_FROM_FILES)
"""The names of all facts that are checked."""


def invalid_fact(separator: AnySeparator) -> str | None:
    """Return what is wrong with the facts of a separator, or None.

    A fact that depends on an option without default is checked on use, as are the stems of an
    ensemble without members. Those that may be read from files are left to `invalid_file_fact`.
    """
    names: Iterable[str] = _CHECKS
    if isinstance(separator, Ensemble) and not separator.members:
        names = [name for name in names if name not in ("stems", "remainder")]
    for name in names:
        if (fault := _fault(separator, name, _CHECKS[name])) is not None:
            return fault
    return _unfit_option(separator) or _contradiction(separator)


def invalid_file_fact(separator: AnySeparator) -> str | None:
    """Return what is wrong with the facts that may be read from files, or None."""
    found = (_fault(separator, name, check) for name, check in _FROM_FILES.items())
    return next((fault for fault in found if fault is not None), None)


def _fault(separator: AnySeparator, name: str, check: _Check) -> str | None:
    try:
        value = getattr(separator, name)
        if not check.is_right(value):
            return f"{name} {_shown(value)}: {check.cure}"
        if name in _READ_TWICE and getattr(separator, name) != value:
            return f"{name} differs each time it is read: declare one value"
    except SepbenchError:
        return None
    # A plugin may raise anything.
    except (Exception, SystemExit) as error:
        return f"{name} cannot be read: {describe(error)}"
    return None


def _unfit_option(separator: AnySeparator) -> str | None:
    try:
        return options.unfit(separator.Options)
    except SepbenchError:
        return None


def _contradiction(separator: AnySeparator) -> str | None:
    """Return which facts contradict each other, or None; each alone is right."""
    try:
        if separator.remainder is not None and separator.remainder not in separator.stems:
            return f"its remainder {separator.remainder!r} is not one of its stems"
        if separator.context is not None and separator.block_context is None:
            return "block_context None with a context: declare how much of it a block must include"
    except SepbenchError:
        pass
    return None


def _shown(value: Any) -> str:
    try:
        text = " ".join(repr(value).split())
    # A plugin's __repr__ may raise anything.
    except BaseException as error:
        return f"of type {type(value).__name__}, whose repr raises {type(error).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
