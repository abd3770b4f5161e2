"""The contract that every separator fulfils.

A separator is one class. It declares facts that a program can read, and it has two methods: `load`
and `separate`. It sees a tensor and returns tensors; files, devices, sample rates, blocks, timing
and scores are the host's work.

There are three kinds, siblings of one another:

============  =====================================================  ====================
class         is given                                               runs in
============  =====================================================  ====================
`Separator`   the mixture                                            all verbs
`Oracle`      the mixture and the true stems                         ``evaluate``
`Ensemble`    the mixture and what its members made of it            all verbs
============  =====================================================  ====================

Keep heavy imports (torch among them) inside the methods: ``sepbench methods`` reads the facts of
all separators in a fraction of a second.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.errors import SepbenchError
from sepbench.options import NoOptions, option
from sepbench.stems import in_order, with_sums

if TYPE_CHECKING:
    import torch

__all__ = [
    "BLOCK_ALIGNMENT",
    "AnySeparator",
    "Ensemble",
    "NoOptions",
    "Oracle",
    "Requirement",
    "SampleCount",
    "Separator",
    "WeightFile",
    "option",
]

BLOCK_ALIGNMENT = 12288
"""Blocks begin at multiples of this many samples of the separator's rate.

Frames whose hop divides it fall in a block as they fall in the whole song: any power of two up to
4096, and three times any up to that.
"""


@dataclass(frozen=True)
class SampleCount:
    """A length in samples, where a plain number would mean seconds."""

    count: int

    def __str__(self) -> str:
        return f"{self.count} samples"


@dataclass(frozen=True)
class Requirement:
    """A module or a program that may be missing, and the command that installs it."""

    module: str = ""
    install: str = ""
    program: str = ""
    """A program on the PATH, or the path of one."""

    def missing(self) -> str | None:
        """Return what is missing and the cure, or None if it is here."""
        if self.module and find_spec(self.module) is None:
            return f"needs {self.module}, which is not installed; {self.install}"
        if self.program and shutil.which(self.program) is None:
            return f"needs the program {self.program}, which is not on the PATH; {self.install}"
        return None


@dataclass(frozen=True)
class WeightFile:
    """A file of trained weights.

    Where it is depends on which of these is set: ``path``, a file on this machine, shipped with the
    plugin or the user's own; ``package``, the installed package that contains it; ``url``, the
    address it is fetched from into the cache.
    """

    file: str
    """Its name, or its path inside ``package``."""
    sha256: str
    """The hash in hex, or as much of its beginning as is published."""
    url: str | None = None
    package: str | None = None
    path: Path | None = None
    size: int | None = None
    """Bytes."""
    terms: str = ""
    """An SPDX identifier."""


class AnySeparator(ABC):
    """What separators of all kinds declare.

    A subclass declares a fact by a class attribute of the same name, or by a property where it
    depends on the options.
    """

    name: ClassVar[str]
    """What users type: lower-case letters, digits and hyphens."""

    summary: ClassVar[str]
    """One sentence: what it does and by which method."""

    version: ClassVar[str] = "1"
    """Changes whenever the same input and options would give other numbers."""

    Options: ClassVar[type[Any]] = NoOptions
    """A frozen dataclass of `option` fields: defaults, ranges and help of everything tunable."""

    needs_references: ClassVar[bool] = False
    """Whether it is given the true stems; true of every `Oracle`."""

    members: Sequence[AnySeparator] = ()
    """The separators whose estimates it is given; those of an `Ensemble`."""

    options: Any

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @property
    @abstractmethod
    def stems(self) -> tuple[str, ...]:
        """What it makes: lower-case names, those of `sepbench.stems.STEMS` where they fit."""

    @property
    @abstractmethod
    def license(self) -> str:
        """SPDX identifier of the code, and of the weights where they differ."""

    @property
    @abstractmethod
    def citation(self) -> str:
        """The publication that describes the method."""

    @property
    def remainder(self) -> str | None:
        """The stem that `separate` leaves out and the host makes as mixture minus all others.

        The stems of a separator with a remainder sum to the mixture exactly.
        """
        return None

    @property
    def sample_rate(self) -> int | None:
        """Hz at which it works; the host resamples there and back. None: any rate."""
        return None

    @property
    def channels(self) -> int | None:
        """1: channels are fed one at a time; 2: stereo; None: any number at once."""
        return None

    @property
    def context(self) -> float | SampleCount | None:
        """How much of the song on each side of a block its inside depends on.

        Seconds, or `SampleCount` at the separator's rate. None: it must see the whole song at once.
        """
        return None

    @property
    def block_context(self) -> float | SampleCount | None:
        """The part of `context` that a block handed to `process` must include."""
        return self.context

    @property
    def block_alignment(self) -> int:
        """Blocks begin at multiples of this many samples; so do their length and context."""
        return BLOCK_ALIGNMENT

    @property
    def level(self) -> float | None:
        """dB below full scale to which the host brings a song, and its stems back from there.

        What comes out then does not depend on how loud the song is, and a constant offset (DC) is
        taken aside. `sepbench.inference.level` says how it is measured. None: the song comes as it
        is; right for all that has no scale of its own.
        """
        return None

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Data used in training as ``dataset`` or ``dataset/subset``; empty if nothing was."""
        return ()

    @property
    def weight_files(self) -> tuple[WeightFile, ...]:
        """The files that `load` reads; `sepbench.weights.files` finds, fetches and checks them."""
        return ()

    @property
    def needs(self) -> tuple[Requirement, ...]:
        """Modules and programs that may be missing on this machine."""
        return ()

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What else decides the stems, ready for JSON: digests of files, a program's version."""
        return MappingProxyType({})

    @property
    def batch(self) -> bool:
        """Whether it is better given many songs at once: see `Separator.separate_batch`."""
        return False

    def load(self, device: torch.device) -> None:  # noqa: B027 - most methods have nothing to load
        """Read weights and build networks on ``device``; called once, before the first song."""

    @abstractmethod
    def process(
        self, mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the stems of ``mixture``: what the host calls, whatever the kind of separator.

        Shape:
            mixture: float32 ``(channels, samples)``.
            each of ``given``: ``(..., channels, samples)``, by stem.
        """

    def note(self, text: str) -> None:
        """Tell the user one thing about the song at hand, in one line; the host shows each once."""
        self.__dict__.setdefault("_notes", []).append(text)

    def take_notes(self) -> tuple[str, ...]:
        """Return what `note` was told since the last call; the host calls it after each song."""
        return tuple(dict.fromkeys(self.__dict__.pop("_notes", ())))


class Separator(AnySeparator):
    """Splits a mixture into stems."""

    @abstractmethod
    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return every stem of ``stems`` but the ``remainder``.

        Shape:
            mixture: float32 ``(channels, samples)`` on the device given to `load`; the separator's
                own copy.
            each stem: as the mixture.

        The same input and options give the same output; no global random state is touched.
        """

    def separate_batch(
        self, mixtures: Iterable[torch.Tensor]
    ) -> Iterator[Mapping[str, torch.Tensor] | SepbenchError]:
        """Yield for each mixture what `separate` returns, or the error that it alone failed with.

        Where ``batch`` is true, ``evaluate`` calls this once for all tracks. Mixtures and stems
        come one at a time, so that all need not be in memory.
        """
        for mixture in mixtures:
            yield self.separate(mixture)

    def process(
        self, mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Call `separate`."""
        return self.separate(mixture)


class Oracle(AnySeparator):
    """An upper bound: a separator that is given the true stems of the track.

    It runs in ``evaluate``, never in ``separate``. Of its ``stems`` it may leave out those that
    the track has no references for.
    """

    needs_references = True

    @abstractmethod
    def separate(
        self, mixture: torch.Tensor, references: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the stems of ``mixture`` given the true ones, each ``(channels, samples)``."""

    def process(
        self, mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Call `separate` with the references."""
        return self.separate(mixture, given)


class Ensemble(AnySeparator):
    """A separator that makes its stems of the estimates of others, its members.

    The host runs every member on the song, each at its own rate, on its own channels and in its
    own blocks, and hands over what they made. Members may be ensembles themselves, not oracles.
    """

    def __init__(self, options: Any = None, members: Sequence[AnySeparator] = ()) -> None:
        super().__init__(options)
        self.members = members
        if members and not self.stems:
            made = "; ".join(f"{member.name} makes {', '.join(member.stems)}" for member in members)
            raise SepbenchError(f"method {self.name}: its members share no stem: {made}")

    @classmethod
    @abstractmethod
    def methods(cls, options: Any) -> Sequence[str]:
        """Return for each member what a user would type: ``name`` or ``name[opt=value,...]``."""

    @abstractmethod
    def combine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return every stem of ``stems`` but the ``remainder``.

        Shape:
            mixture: float32 ``(channels, samples)`` on the device given to `load`.
            each of the estimates: ``(members, channels, samples)``.
            each stem: as the mixture.
        """

    @property
    def links(self) -> tuple[str, ...]:
        """The stem that each member but the last hands to the next; empty: all get the mixture.

        In a chain the estimates are those of the last member alone.
        """
        return ()

    @property
    def combined_stems(self) -> tuple[str, ...]:
        """The stems of the members that `combine` is given."""
        return tuple(stem for stem in self.stems if stem != self.remainder)

    def process(
        self, mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Call `combine` with the members' estimates."""
        return self.combine(mixture, given)

    @property
    def block_context(self) -> float | SampleCount:
        """How much `combine` itself depends on; the members have had their own context."""
        return 0.0

    @property
    def context(self) -> float | SampleCount | None:
        """None if a member must see the whole song, else what `combine` depends on."""
        return (
            None if any(member.context is None for member in self.members) else self.block_context
        )

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The stems that all members make; sums count where at least one makes the sum itself."""
        possible = [with_sums(dict.fromkeys(member.stems, 0)) for member in self.members]
        declared = {stem for member in self.members for stem in member.stems}
        return tuple(s for s in in_order(declared) if all(s in made for made in possible))

    @property
    def remainder(self) -> str | None:
        """The members' remainder, if they agree on all stems."""
        kinds = {(frozenset(member.stems), member.remainder) for member in self.members}
        return next(iter(kinds))[1] if len(kinds) == 1 else None

    @property
    def trained_on(self) -> tuple[str, ...]:
        """What any member was trained on."""
        return _each_once(data for member in self.members for data in member.trained_on)

    @property
    def license(self) -> str:
        """The licenses of all members."""
        licenses = (member.license.split("; ") for member in self.members)
        return "; ".join(_each_once(part for parts in licenses for part in parts))


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
