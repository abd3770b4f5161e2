"""Imports the model of a separator that can be trained."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

from sepbench.errors import MethodError, SepbenchError, describe


def model_class(separator: Any) -> Any:
    """Return the `Trainable` that a separator, or its class, names by ``trainable``.

    Raises `SepbenchError` if it names none, or one that cannot be imported.
    """
    where = getattr(separator, "trainable", None)
    if where is None:
        raise MethodError(separator.name, "declares no trainable; set it to 'package.model:Model'")
    try:
        return resolve_name(where)
    except SepbenchError:
        raise
    except (Exception, SystemExit) as error:  # A plugin's module may raise anything.
        reason = f"its trainable {where!r} cannot be imported: {describe(error)}"
        raise MethodError(separator.name, reason) from error
