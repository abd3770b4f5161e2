"""What separators of all kinds declare, and the one method that the host calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.options import NoOptions
from sepbench.separator.facts import BLOCK_ALIGNMENT, Requirement, SampleCount, WeightFile

if TYPE_CHECKING:
    import torch


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

    warms_up: ClassVar[bool] = True
    """Whether its first song costs more than the next; if so, it first gets a second of it."""

    members: Sequence[AnySeparator] = ()
    """The separators whose estimates it is given; those of an `Ensemble`."""

    options: Any

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @classmethod
    def methods(cls, options: Any) -> Sequence[str]:
        """Return for each member what a user would type: ``name`` or ``name[opt=value,...]``."""
        return ()

    @classmethod
    def create(cls, options: Any, members: Sequence[AnySeparator]) -> AnySeparator:
        """Return a separator with these options and, if it is an `Ensemble`, these members."""
        return cls(options)

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
        """Data used in training as ``dataset`` or ``dataset/subset``; empty if nothing was.

        `UNKNOWN_TRAINING` where there was training, and nobody says on what.
        """
        return ()

    @property
    def trained_songs(self) -> Mapping[str, float]:
        """Songs heard in training by `sepbench._util.text.song_mark`, with their seconds.

        So they are known in every folder, whatever the data set is called.
        """
        return {}

    @property
    def trained_sounds(self) -> frozenset[str]:
        """Songs heard in training by `sepbench.audio.sound_mark`, known under any name."""
        return frozenset()

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

    def used_outside(self, peak_bytes: int) -> None:
        """Tell the host how much memory a program took that was started for the song at hand."""
        self.__dict__["_used_outside"] = max(peak_bytes, self.__dict__.get("_used_outside", 0))

    def take_used_outside(self) -> int:
        """Return the most that `used_outside` was told since the last call."""
        return int(self.__dict__.pop("_used_outside", 0))
