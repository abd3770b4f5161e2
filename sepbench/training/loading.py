"""Loads batches of training examples."""

from __future__ import annotations

import signal
import sys
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import DataLoader, Subset

from sepbench.training.examples import Examples


def batches(
    examples: Examples,
    first: int,
    count: int,
    *,
    size: int,
    workers: int = 0,
    pinned: bool = False,
    generator: torch.Generator | None = None,
) -> DataLoader[dict[str, torch.Tensor]]:
    """Return a loader of ``count`` examples from ``first`` on, in batches of ``size``.

    They are made by ``workers`` other processes, or in this one if 0. Without ``generator`` a
    number is drawn from torch's global generator.
    """
    return DataLoader(
        Subset(examples, range(first, first + count)),
        batch_size=size,
        num_workers=workers,
        pin_memory=pinned,
        generator=generator,
        worker_init_fn=_leave_stopping_to_the_parent,
    )


def _leave_stopping_to_the_parent(worker: int) -> None:
    """Handle signals as a worker should: Ctrl-C reaches all processes of a terminal at once.

    The parent ends its workers; the handlers that they inherit would print a traceback, and so
    would the thread that hands over a batch while the parent is stopped.
    """
    sys.excepthook = _report_unless_disconnected
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    others: list[Any] = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    for number in filter(None, others):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _report_unless_disconnected(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Print an error of a worker's thread, except that the parent has closed the connection."""
    if not issubclass(kind, (EOFError, ConnectionError)):
        sys.__excepthook__(kind, error, traceback)
