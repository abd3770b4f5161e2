"""Checks arguments of Python functions, so that a wrong one is one line with its cure."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from sepbench.errors import SepbenchError


def names(given: Any, what: str) -> list[str]:
    """Return a name, or several, as a list; raise `SepbenchError` for anything else.

    >>> names("unet", "methods"), names(("unet", "hpss"), "methods")
    (['unet'], ['unet', 'hpss'])
    """
    try:
        several = [given] if isinstance(given, str) else list(given)
    except TypeError:  # An array without dimensions has `__iter__`, too.
        several = [None]
    if not all(isinstance(name, str) for name in several):
        raise SepbenchError(f"{what}={shown(given)}: give a name, or a list of names")
    return [str(name) for name in several]


def shown(given: Any) -> str:
    """Return the text of any value on one line; an array has several."""
    return " ".join(repr(given).split())


def path(given: Any, what: str) -> Path:
    """Return a path; raise `SepbenchError` for what is none, and for an empty one.

    An empty one would be the current folder, and is usually a variable that was not set.
    """
    text = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise SepbenchError(f"{what}={shown(given)}: give a path, as text or a pathlib.Path")
    return Path(text)


def is_finite(given: Any, *, above: float = -math.inf) -> bool:
    """Return whether a value is a finite number above a bound, of Python or numpy.

    >>> is_finite(2), is_finite(2, above=2), is_finite(float("nan")), is_finite(True)
    (True, False, False, False)
    """
    if isinstance(given, bool) or not isinstance(given, Real):
        return False
    try:
        return above < float(given) < math.inf
    except OverflowError:  # A whole number of more than 308 digits.
        return False


def is_integer(given: Any, *, least: int) -> bool:
    """Return whether a value is a whole number, of Python or numpy, of at least a bound.

    >>> [is_integer(given, least=1) for given in (1, 0, 1.0, True)]
    [True, False, False, False]
    """
    return isinstance(given, Integral) and not isinstance(given, bool) and int(given) >= least
