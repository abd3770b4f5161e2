"""Global settings of a process that plugins might change, and its random generators."""

from __future__ import annotations

import locale
import os
import random
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def settings() -> dict[str, Any]:
    """Return the global settings of this process that affect results."""
    import numpy as np
    import torch

    return {
        "threads of torch": torch.get_num_threads(),
        "default dtype of torch": torch.get_default_dtype(),
        "default device of torch": str(torch.get_default_device()),
        "gradients": torch.is_grad_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "precision of matrix products": torch.get_float32_matmul_precision(),
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "errors of numpy": np.geterr(),
        "working folder": _working_folder(),
        "environment": dict(os.environ),
        "locale": locale.setlocale(locale.LC_ALL),
        "timers": signal.getitimer(signal.ITIMER_REAL)[1:] if hasattr(signal, "getitimer") else (),
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the names of the settings that differ."""
    return [name for name, value in before.items() if after[name] != value]


@contextmanager
def kept() -> Iterator[None]:
    """Undo side effects of imports: folder, environment, locale, warning filters.

    Does not touch torch, whose import is slow.
    """
    folder, environment = os.getcwd(), dict(os.environ)
    language, state = locale.setlocale(locale.LC_ALL), random.getstate()
    try:
        with warnings.catch_warnings():
            yield
    finally:
        if _working_folder() != folder:
            os.chdir(folder)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        locale.setlocale(locale.LC_ALL, language)
        random.setstate(state)


def seed_generators() -> None:
    """Seed every global random generator with 0, so that a plugin's results can be repeated."""
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global one, which plugins may use
    torch.manual_seed(0)


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "(removed)"
