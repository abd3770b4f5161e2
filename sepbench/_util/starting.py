"""How a worker process is started, and what is kept from it meanwhile."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any

_PRELOADED = ["torch", "sepbench.inference.runner"]
"""Modules that are imported once, in the process that workers are forked from."""


@cache
def worker_context() -> ForkServerContext | SpawnContext:
    """Return how processes start: forked from a server that has imported torch, else spawned.

    Never forked from this process: torch's threads and CUDA do not survive that. In the server they
    have not begun, so a worker starts in milliseconds and shares the imported code.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


@contextmanager
def main_hidden(payload: bytes) -> Iterator[None]:
    """Keep `multiprocessing` from running the main script again in the worker.

    A script that calls sepbench needs no guard then, and the command line is not imported anew.
    Where the work is the script's own, it has to run there.
    """
    main = sys.modules.get("__main__")
    if main is None or b"__main__" in payload:
        yield
        return
    kept: dict[str, Any] = {
        name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)
    }
    main.__spec__ = None
    vars(main).pop("__file__", None)
    try:
        yield
    finally:
        vars(main).update(kept)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Hold back the keyboard's interrupt, so that a process started meanwhile never gets it.

    It goes to all processes at once and is the parent's to act on, even while the others import.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # Its first start would let interrupts through again.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
