"""Types of a separator's facts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

BLOCK_ALIGNMENT = 12288
"""Default alignment of blocks, in samples at the separator's rate.

Frames whose hop divides it have the same positions in a block as in the whole song: any power of
two up to 4096, and three times any of these.
"""

UNKNOWN_TRAINING = ("unknown",)
"""``trained_on`` of weights whose training data are not known."""


@dataclass(frozen=True)
class SampleCount:
    """A length in samples, as plain numbers are seconds."""

    count: int

    def __str__(self) -> str:
        return f"{self.count} samples"


def in_samples(length: float | SampleCount, rate: float) -> float:
    """Convert a length in seconds or samples to samples at ``rate`` Hz.

    >>> in_samples(0.5, 44100), in_samples(SampleCount(512), 44100)
    (22050.0, 512)
    """
    return length.count if isinstance(length, SampleCount) else length * rate


def joined_terms(*licenses: str) -> str:
    """Return the terms of several licenses, each once.

    >>> joined_terms("MIT; CC BY 4.0", "", "CC BY-NC 4.0; MIT")
    'MIT; CC BY 4.0; CC BY-NC 4.0'
    """
    terms = (term for one in licenses for term in one.split("; "))
    return "; ".join(dict.fromkeys(filter(None, terms)))


@dataclass(frozen=True)
class Requirement:
    """A module or a program that may be missing, and the command that installs it."""

    module: str = ""
    install: str = ""
    program: str = ""
    """A program on the PATH, or the path of one."""

    def missing(self) -> str | None:
        """Return what is missing and the cure, or None."""
        if self.module and find_spec(self.module) is None:
            return f"needs {self.module}, which is not installed; {self.install}"
        if self.program and shutil.which(self.program) is None:
            is_path = Path(self.program).name != self.program
            where = "cannot be run: no such program" if is_path else "is not on the PATH"
            return f"needs the program {self.program}, which {where}; {self.install}"
        return None


@dataclass(frozen=True)
class WeightFile:
    """A file of trained weights.

    One of these locates it: ``path``, a file of the plugin or of the user; ``package``, an
    installed package that contains it; ``url``, an address from which it is downloaded to the
    cache.
    """

    file: str
    """Its name, or its path inside ``package``."""
    sha256: str
    """The sha256 in hex, or its first digits if only these are published."""
    url: str | None = None
    package: str | None = None
    path: Path | None = None
    size: int | None = None
    """Bytes."""
    terms: str = ""
    """An SPDX identifier."""
