"""The package that runs the models: ``demucs-infer`` where it is installed, else ``demucs``.

Both have the same code; the first needs no torchaudio and reads no files itself.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType

DISTRIBUTIONS = {"demucs_infer": "demucs-infer", "demucs": "demucs"}
"""The distribution of each module, in order of preference."""


def module_name() -> str:
    """Return the module to use: the first one that is installed, else the first.

    >>> module_name() in DISTRIBUTIONS
    True
    """
    installed = (name for name in DISTRIBUTIONS if find_spec(name) is not None)
    return next(installed, next(iter(DISTRIBUTIONS)))


def package() -> str | None:
    """Return the used distribution with its version, None if none is installed."""
    name = module_name()
    if find_spec(name) is None:
        return None
    return f"{DISTRIBUTIONS[name]} {version(DISTRIBUTIONS[name])}"


def load(part: str) -> ModuleType:
    """Import a part of the package, such as ``apply``.

    ``demucs_infer`` registers itself as ``demucs`` so that pickled models find their classes;
    models are not unpickled here, and the alias is removed again.
    """
    before = _named_demucs()
    try:
        return import_module(f"{module_name()}.{part}")
    finally:
        if module_name() != "demucs":
            for name in _named_demucs():
                del sys.modules[name]
            sys.modules.update(before)


def _named_demucs() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.split(".")[0] == "demucs"}
