"""The contract every separator fulfils.

A separator is one class: facts that a machine can read, and two methods. It sees a tensor and
returns tensors; files, devices, sample rates, blocks, timing and scores are the host's business.

Keep heavy imports (torch among them) out of the module that holds the class, or inside its
methods: ``sepbench methods`` reads the facts of all separators in a fraction of a second.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.errors import SepbenchError
from sepbench.options import NoOptions, option
from sepbench.stems import in_order, with_sums

if TYPE_CHECKING:
    import torch

__all__ = [
    "BLOCK_GRID",
    "EnsembleSeparator",
    "NoOptions",
    "OracleSeparator",
    "Requirement",
    "Separator",
    "WeightFile",
    "Weights",
    "option",
]

BLOCK_GRID = 12288
"""The host's blocks begin at multiples of this many samples of the separator's rate.

Frames whose hop divides it fall in a block as they fall in the whole song: any power of two up to
4096, and three times any up to that.
"""


@dataclass(frozen=True)
class Requirement:
    """A module or a program that may be missing, and the command that installs it."""

    module: str = ""
    install: str = ""
    program: str = ""
    """A program on the PATH, or the path of one."""

    def missing(self) -> str | None:
        """Return what is missing and the cure, None if it is here."""
        if self.module and find_spec(self.module) is None:
            return f"needs {self.module}, which is not installed; {self.install}"
        if self.program and shutil.which(self.program) is None:
            return f"needs the program {self.program}, which is not on the PATH; {self.install}"
        return None


@dataclass(frozen=True)
class Weights:
    """A file of trained weights: its path inside the plugin's package, and its sha256 in hex."""

    file: str
    sha256: str


@dataclass(frozen=True)
class WeightFile:
    """A file of trained weights from elsewhere: fetched from an address, or out of a package.

    ``file`` is its name, or its path inside ``package``. ``sha256`` is the hash in hex, or as much
    of its beginning as is published. ``size`` counts bytes; ``terms`` is an SPDX identifier.
    """

    file: str
    sha256: str
    url: str | None = None
    package: str | None = None
    size: int | None = None
    terms: str = ""


class Separator(ABC):
    """Splits a mixture into stems.

    Facts are class attributes; one that depends on the options may be a property instead.
    """

    name: ClassVar[str]
    """What users type: lower case letters, digits and hyphens."""

    summary: ClassVar[str]
    """One sentence: what it does and by which method."""

    stems: tuple[str, ...]
    """What it makes, names of `sepbench.stems.STEMS` or others (`sepbench.stems.is_stem_name`)."""

    remainder: str | None = None
    """The stem that `separate` leaves out and the host makes as mixture minus all others.

    The stems of a separator with a remainder sum to the mixture exactly.
    """

    sample_rate: int | None = None
    """Hz at which `separate` works; none: any rate. The host resamples there and back."""

    channels: int | None = None
    """1: channels are fed one at a time; 2: stereo; none: any number at once."""

    context: float | None = None
    """Seconds of surround a block needs for its inside to come out as in the whole song.

    None: the method must see the whole song at once.
    """

    version: ClassVar[str] = "1"
    """Changes whenever the same input and options would give other numbers."""

    license: str
    """SPDX identifier of the code, and of the weights where they differ."""

    citation: str
    """The publication the method comes from."""

    trained_on: tuple[str, ...] = ()
    """Data used in training as ``dataset`` or ``dataset/subset``; empty: nothing was trained."""

    weights: Weights | None = None
    """The file that `load` reads, none for methods without weights."""

    weight_files: tuple[WeightFile, ...] = ()
    """Files from elsewhere that `load` reads, by `sepbench.weights.files`."""

    grid: int = BLOCK_GRID
    """Blocks begin at multiples of this many samples; their length and surround are such too."""

    needs: tuple[Requirement, ...] = ()
    """Modules and programs that may be missing on this machine."""

    provenance: Mapping[str, Any] = MappingProxyType({})
    """What else decides the stems, ready for JSON: digests of files, the version of a program."""

    Options: ClassVar[type[Any]] = NoOptions
    """A frozen dataclass of `option` fields: defaults, ranges and help of everything tunable."""

    options: Any

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    def load(self, device: torch.device) -> None:  # noqa: B027 - most methods have nothing to load
        """Read weights and build networks on ``device``; called once, before the first song."""

    @abstractmethod
    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return every stem of ``stems`` but the ``remainder``.

        Shape:
            mixture: float32 ``(channels, samples)`` on the device given to `load`.
            each stem: as the mixture.

        The same input and options give the same output; no global random state is touched.
        """

    def note(self, text: str) -> None:
        """Tell the user one thing about the song at hand, in one line; the host shows each once."""
        self.__dict__.setdefault("_notes", []).append(text)

    def take_notes(self) -> tuple[str, ...]:
        """Return what `note` was told since the last call; the host calls it after each song."""
        return tuple(dict.fromkeys(self.__dict__.pop("_notes", ())))


class OracleSeparator(Separator):
    """An upper bound: a separator that is shown the answer.

    The host gives it the references of the track it is evaluated on, so it runs in ``evaluate``
    and never in ``separate``.
    """

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Raise, because an oracle separates only what it is shown."""
        raise TypeError(f"{self.name} is an oracle: it needs the true stems")

    @abstractmethod
    def separate_knowing(
        self, mixture: torch.Tensor, references: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the stems of ``mixture`` given the true ones, each ``(channels, samples)``."""


class EnsembleSeparator(Separator):
    """A separator that makes its stems of the estimates of others, its members.

    The host runs every member on the song, each at its own rate, on its own channels and in its
    own blocks, and hands over what they made. Members may be ensembles themselves, not oracles.
    """

    reach: float = 0.0
    """Seconds of surround that `combine` needs; what the members need comes on top."""

    members: Sequence[Separator]

    def __init__(self, options: Any = None, members: Sequence[Separator] = ()) -> None:
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

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Raise, because an ensemble needs the estimates of its members."""
        raise TypeError(f"{self.name} is an ensemble: it combines what its members made")

    @cached_property
    def stems(self) -> tuple[str, ...]:  # type: ignore[override]
        """The stems that all members make, sums among them where at least one makes the sum."""
        possible = [with_sums(dict.fromkeys(member.stems, 0)) for member in self.members]
        declared = {stem for member in self.members for stem in member.stems}
        return tuple(s for s in in_order(declared) if all(s in made for made in possible))

    @property
    def remainder(self) -> str | None:  # type: ignore[override]
        """The members' remainder, where they agree on all stems."""
        kinds = {(frozenset(member.stems), member.remainder) for member in self.members}
        return next(iter(kinds))[1] if len(kinds) == 1 else None

    @property
    def context(self) -> float | None:  # type: ignore[override]
        """What the farthest-seeing member needs, and `reach`."""
        contexts = [member.context for member in self.members]
        known = [context for context in contexts if context is not None]
        return None if len(known) < len(contexts) else max(known, default=0.0) + self.reach

    @property
    def trained_on(self) -> tuple[str, ...]:  # type: ignore[override]
        """What any member was trained on."""
        return _each_once(data for member in self.members for data in member.trained_on)

    @property
    def license(self) -> str:  # type: ignore[override]
        """The licenses of all members."""
        licenses = (member.license.split("; ") for member in self.members)
        return "; ".join(_each_once(part for parts in licenses for part in parts))


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
