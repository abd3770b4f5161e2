"""Starts worker processes, shielded from the main script and from interrupts."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import current_process, get_context, util
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any

from sepbench._util.partial import own_folder

_PRELOADED = ["torch", "sepbench.inference.runner", "sepbench._util.preloaded"]
"""Modules imported once, in the server from which workers are forked."""

_PREFIX = "sepbench-workers"
_SOCKET_NAME = len("/listener-12345678")
_LONGEST_SOCKET = 107
"""The longest path of a socket on Linux, in bytes."""


@cache
def worker_context() -> ForkServerContext | SpawnContext:
    """Return the start method: fork from a server that has imported torch, else spawn.

    Workers are never forked from this process, as torch's threads and CUDA do not survive that. The
    server has started neither, so workers start in milliseconds and share the imported code.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    _choose_folder_of_sockets()
    return context


def preload(modules: Iterable[str]) -> None:
    """Have workers share the import of further modules; without effect once one has started.

    The server imports them, and ends if one of them ends its process.
    """
    context = worker_context()
    if isinstance(context, ForkServerContext):
        _PRELOADED.extend(module for module in modules if module not in _PRELOADED)
        context.set_forkserver_preload(_PRELOADED)


def _choose_folder_of_sockets() -> None:
    """Have `multiprocessing` put its sockets into a folder that can be found again.

    Its own choice stays behind if this process is killed, and fails where ``TMPDIR`` is long.
    """
    config = current_process()._config  # type: ignore[attr-defined]
    if config.get("tempdir") is not None:  # The caller has used `multiprocessing`.
        return
    for parent in dict.fromkeys([tempfile.gettempdir(), "/tmp", "/dev/shm"]):  # noqa: S108
        folder = own_folder(Path(parent), _PREFIX)
        if len(os.fsencode(folder)) + _SOCKET_NAME <= _LONGEST_SOCKET:
            with suppress(OSError):
                folder.mkdir(mode=0o700)
                util.Finalize(None, shutil.rmtree, (folder, True), exitpriority=-100)
                config["tempdir"] = str(folder)
                return


@contextmanager
def main_hidden(payload: bytes) -> Iterator[None]:
    """Keep `multiprocessing` from running the main script again in the worker.

    So a script that calls sepbench needs no ``__main__`` guard, and the command line is not
    imported again. If the work is defined in the main script, the script must run.
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
    """Block SIGINT, so that a process started meanwhile inherits the block.

    Ctrl-C goes to all processes of a terminal at once; only the parent should act on it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # Its first start unblocks SIGINT.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
