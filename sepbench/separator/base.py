"""The base class of separators: declared facts, and the method that the runner calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.options import NoOptions
from sepbench.separator.facts import BLOCK_ALIGNMENT, Requirement, SampleCount, WeightFile

if TYPE_CHECKING:
    import torch

    from sepbench.dsp.wiener import MultichannelWiener


class AnySeparator(ABC):
    """Facts declared by separators of all kinds.

    A subclass declares a fact as a class attribute, or as a property if it depends on the options.
    """

    name: ClassVar[str]
    """The name: lower-case letters, digits and hyphens."""

    summary: ClassVar[str]
    """One sentence: what it does and how."""

    version: ClassVar[str] = "1"
    """Increased whenever the same input and options would give other numbers."""

    Options: ClassVar[type[Any]] = NoOptions
    """A frozen dataclass of `option` fields: defaults, ranges and help of all options."""

    needs_references: ClassVar[bool] = False
    """Whether it gets the true stems; true for every `Oracle`."""

    warms_up: ClassVar[bool] = True
    """Whether its first song costs more than the next; if so, it first gets a second of it."""

    preload: ClassVar[str | None] = None
    """A module that takes seconds to import, for plugins of sepbench itself. Where several methods
    of a run name it, their processes share one import. It raises nothing but ``ImportError``."""

    members: Sequence[AnySeparator] = ()
    """The members of an `Ensemble`, whose estimates it gets."""

    options: Any

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @classmethod
    def methods(cls, options: Any) -> Sequence[str]:
        """Return the members as a user would type them: ``name`` or ``name[opt=value,...]``."""
        return ()

    @classmethod
    def create(cls, options: Any, members: Sequence[AnySeparator]) -> AnySeparator:
        """Return a separator with these options and, if it is an `Ensemble`, these members."""
        return cls(options)

    @property
    @abstractmethod
    def stems(self) -> tuple[str, ...]:
        """The stems: lower-case names, those of `sepbench.stems.STEMS` where they apply."""

    @property
    @abstractmethod
    def license(self) -> str:
        """SPDX identifier of the code, and of the weights if different."""

    @property
    @abstractmethod
    def citation(self) -> str:
        """The publication that describes the method."""

    @property
    def remainder(self) -> str | None:
        """The stem that `separate` omits; the runner makes it as mixture minus all others.

        The stems of a separator with a remainder sum to the mixture exactly.
        """
        return None

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz; the runner resamples to it and back. None: any rate."""
        return None

    @property
    def channels(self) -> int | None:
        """1: one channel at a time; 2: stereo; None: any number at once."""
        return None

    @property
    def context(self) -> float | SampleCount | None:
        """Context that the stems of a block need on each side.

        Seconds, or `SampleCount` at the separator's rate. None: it needs the whole song at once.
        """
        return None

    @property
    def memory_per_second(self) -> float | None:
        """Bytes that it needs for a second of a stereo song, if `context` is None; None: unknown.

        A song that needs more than is free is refused before it is separated.
        """
        return None

    @property
    def block_context(self) -> float | SampleCount | None:
        """The part of `context` that a block passed to `process` must include."""
        return self.context

    @property
    def kept(self) -> slice:
        """The samples of the current block whose stems are kept; the others are context.

        Stems may be anything finite, such as zeros, outside of it. It is set during `process`;
        otherwise it is everything.
        """
        part: slice = self.__dict__.get("_kept", slice(None))
        return part

    @property
    def block_alignment(self) -> int:
        """Starts, lengths and contexts of blocks are multiples of this number of samples."""
        return BLOCK_ALIGNMENT

    @property
    def level(self) -> float | None:
        """Level, in dB below full scale, to which songs are scaled; stems are scaled back.

        So the result does not depend on the loudness of the song, and a constant offset (DC) is
        removed first. See `sepbench.inference.level`. None: no scaling, right for scale-invariant
        separators.
        """
        return None

    @property
    def stereo_filter(self) -> MultichannelWiener | None:
        """A filter that the runner applies to the stems of songs with several channels.

        It is applied after `process`, in blocks with its own context. None: no filter.
        """
        return None

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Training data as ``dataset`` or ``dataset/subset``; empty for none.

        `UNKNOWN_TRAINING` where there was training, and nobody says on what.
        """
        return ()

    @property
    def trained_songs(self) -> Mapping[str, float]:
        """Songs used in training by `sepbench._util.text.song_marks`, with their length in seconds.

        They are recognised in every data set.
        """
        return {}

    @property
    def trained_sounds(self) -> frozenset[str]:
        """Songs used in training, by `sepbench.audio.sound_mark`, known under any name."""
        return frozenset()

    @property
    def weight_files(self) -> tuple[WeightFile, ...]:
        """The files that `load` reads; `sepbench.weights.files` finds, fetches and checks them."""
        return ()

    @property
    def needs(self) -> tuple[Requirement, ...]:
        """Required modules and programs that may be missing."""
        return ()

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Other facts that decide the stems, such as digests of files, ready for JSON."""
        return MappingProxyType({})

    @property
    def batch(self) -> bool:
        """Whether it processes many songs at once: see `Separator.separate_batch`."""
        return False

    def load(self, device: torch.device) -> None:  # noqa: B027 - most methods have nothing to load
        """Read weights and build networks on ``device``; called once, before the first song."""

    @abstractmethod
    def process(
        self, mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the stems of ``mixture``; called by the runner for every kind of separator.

        Shape:
            mixture: float32 ``(channels, samples)``.
            each of ``given``: ``(..., channels, samples)``, by stem.
        """

    @contextmanager
    def keeping(self, part: slice) -> Iterator[None]:
        """Declare `kept` for one block; called by the runner."""
        self.__dict__["_kept"] = part
        try:
            yield
        finally:
            del self.__dict__["_kept"]

    def note(self, text: str) -> None:
        """Add a one-line note on the current song for the user; each is shown once."""
        self.__dict__.setdefault("_notes", []).append(text)

    def take_notes(self) -> tuple[str, ...]:
        """Return and clear the notes; called by the runner after each song."""
        return tuple(dict.fromkeys(self.__dict__.pop("_notes", ())))

    def used_outside(self, peak_bytes: int) -> None:
        """Report the memory of a program that was started for the current song, in bytes."""
        self.__dict__["_used_outside"] = max(peak_bytes, self.__dict__.get("_used_outside", 0))

    def take_used_outside(self) -> int:
        """Return the largest number reported to `used_outside` since the last call."""
        return int(self.__dict__.pop("_used_outside", 0))
