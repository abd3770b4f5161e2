"""Finds converters of other tools' weights by entry point."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from sepbench.errors import SepbenchError

GROUP = "sepbench.weights"
"""The entry-point group of `WeightFormat` classes, each under the name of its format."""


class WeightFormat(Protocol):
    """A weight format of another tool; such classes are entry points of `GROUP`.

    An optional ``write(source, out)`` converts a weight file of sepbench to that format. Weights
    that are only a start for training have ``trains_by``, the config for it.
    """

    summary: str
    """One line: the tool, and the resulting weights."""

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        """Convert weights at ``source`` to a weight file of sepbench; return its header."""
        ...


def format_names() -> list[str]:
    """Return the formats that are installed, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def open_format(name: str) -> WeightFormat:
    """Return the format ``name``; raise `SepbenchError` if there is none or it is broken."""
    points = list(entry_points(group=GROUP, name=name))
    if not points:
        names = format_names()
        close = difflib.get_close_matches(name, names, n=1)
        known = f"choose one of {', '.join(names)}" if names else "none is installed"
        raise SepbenchError(
            f"no weight format {name!r}; " + (f"did you mean {close[0]!r}?" if close else known)
        )
    try:
        found: WeightFormat = points[0].load()()
    # A plugin may raise anything at import; report it in one line.
    except (Exception, SystemExit) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise SepbenchError(f"weight format {name} is broken: {what}") from error
    return found


def read_weights(name: str, source: Path, out: Path) -> dict[str, Any]:
    """Convert another tool's weights; return the header of the new file."""
    form = open_format(name)
    _check_place(source, out)
    check_name(out)
    with _in_one_line(out):
        return form.read(source, out)


def write_weights(name: str, source: Path, out: Path) -> None:
    """Convert a weight file to another tool's format; raise `SepbenchError` if unsupported."""
    write = getattr(open_format(name), "write", None)
    if write is None:
        raise SepbenchError(f"weight format {name} can be imported only, not exported")
    _check_place(source, out)
    part = out.with_name(f".{out.stem}.part{out.suffix}")  # Some tools depend on the suffix.
    with _in_one_line(out):
        try:
            write(source, part)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)


def check_name(out: Path) -> None:
    """Raise `SepbenchError` for a path that is not called as weight files of sepbench are."""
    if out.suffix != ".safetensors":
        raise SepbenchError(f"{out}: weight files are called NAME.safetensors; give such an --out")


@contextmanager
def _in_one_line(out: Path) -> Iterator[None]:
    """Convert a file system error to one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise SepbenchError(f"{out}: cannot write: {reason}; choose another --out") from error


def _check_place(source: Path, out: Path) -> None:
    if not source.exists():
        raise SepbenchError(f"{source}: no such file or folder")
    if out.is_dir() or out.resolve() == source.resolve():
        raise SepbenchError(f"{out}: give --out the path of a new file")
