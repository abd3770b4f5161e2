"""Catches what a plugin prints, by whatever way."""

from __future__ import annotations

import ctypes
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
"""File descriptors that C libraries and programs write to, past Python's streams."""


@contextmanager
def printed_to(target: int, *descriptors: int) -> Iterator[None]:
    """Send what is written to file descriptors to another one, and restore them."""
    with ExitStack() as stack:
        _flush()
        for number in descriptors:
            with suppress(OSError):  # It may be closed.
                kept = os.dup(number)
                stack.callback(os.close, kept)
                stack.callback(os.dup2, kept, number)
                os.dup2(target, number)
        stack.callback(_flush)
        yield


@contextmanager
def caught() -> Iterator[list[str]]:
    """Give the lines that are printed in the block, after it."""
    lines: list[str] = []
    streams = io.StringIO()
    with tempfile.TemporaryFile() as file:
        with (
            printed_to(file.fileno(), STANDARD_OUTPUT, STANDARD_ERROR),
            redirect_stdout(streams),
            redirect_stderr(streams),
        ):
            yield lines
        file.seek(0)
        said = streams.getvalue() + "\n" + file.read().decode(errors="replace")
        lines += [line for line in map(str.strip, said.splitlines()) if line]


def _flush() -> None:
    """Write what C libraries have buffered."""
    with suppress(OSError, TypeError, AttributeError):  # Windows has no library of all symbols.
        ctypes.CDLL(None).fflush(None)
