from __future__ import annotations

import warnings
from types import ModuleType

import pytest

from sepbench.errors import SepbenchError
from sepbench_plugins.nussl_bridge import import_nussl


@pytest.fixture(scope="session")
def norbert() -> ModuleType:
    """norbert, which imports a part of scipy by its old name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import norbert
    return norbert


@pytest.fixture(scope="session")
def nussl() -> ModuleType:
    """nussl, an independent implementation; its tests skip where it cannot be imported."""
    try:
        return import_nussl.nussl()
    except SepbenchError as error:
        pytest.skip(str(error))
