"""The three kinds of separators, by their input."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sepbench.errors import MethodError, SepbenchError
from sepbench.separator.base import AnySeparator
from sepbench.separator.facts import SampleCount, joined_terms
from sepbench.stems import in_order, with_sums

if TYPE_CHECKING:
    import torch


class Separator(AnySeparator):
    """Separates a mixture into stems."""

    @abstractmethod
    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return every stem of ``stems`` but the ``remainder``.

        Shape:
            mixture: float32 ``(channels, samples)`` on the device given to `load`; the separator's
                own copy.
            each stem: as the mixture.

        The output must depend only on input and options, without global random state.
        """

    def separate_batch(
        self, mixtures: Iterable[torch.Tensor]
    ) -> Iterator[Mapping[str, torch.Tensor] | SepbenchError]:
        """Yield for each mixture the result of `separate`, or its error.

        If ``batch`` is true, ``evaluate`` calls this once for all tracks. Mixtures and stems are
        passed one at a time, to save memory.
        """
        for mixture in mixtures:
            yield self.separate(mixture)

    def process(
        self, mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Call `separate`."""
        return self.separate(mixture)


class Oracle(AnySeparator):
    """An upper bound: a separator that gets the true stems of the track.

    It runs in ``evaluate``, not in ``separate``. It may omit ``stems`` without a reference.
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
    """A separator that combines the estimates of other separators, its members.

    The runner runs every member on the song, with its own rate, channels and blocks, and passes the
    estimates. Members may be ensembles, but not oracles.
    """

    def __init__(self, options: Any = None, members: Sequence[AnySeparator] = ()) -> None:
        super().__init__(options)
        self.members = members
        if members and not self.stems:
            made = "; ".join(f"{member.name} makes {', '.join(member.stems)}" for member in members)
            raise MethodError(self.name, f"its members share no stem: {made}")

    @classmethod
    @abstractmethod
    def methods(cls, options: Any) -> Sequence[str]:
        """Return the members as a user would type them: ``name`` or ``name[opt=value,...]``."""

    @classmethod
    def create(cls, options: Any, members: Sequence[AnySeparator]) -> AnySeparator:
        """Return an ensemble of these members."""
        return cls(options, members)

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
        """The stem that each member passes to the next; empty: all get the mixture.

        In a chain only the last member's estimates are passed.
        """
        return ()

    @property
    def combined_stems(self) -> tuple[str, ...]:
        """The stems of the members that are passed to `combine`."""
        return tuple(without_remainder(self))

    def process(
        self, mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Call `combine` with the members' estimates."""
        return self.combine(mixture, given)

    @property
    def block_context(self) -> float | SampleCount | None:
        """The context of `combine` itself, None for the whole song; members have their own."""
        return 0.0

    @property
    def context(self) -> float | SampleCount | None:
        """None if a member needs the whole song, else the context of `combine`.

        A member that gets a stem and is fed at a level needs the whole stem, to measure it.
        """
        later = self.members[1:] if self.links else ()
        whole = any(member.context is None for member in self.members)
        return None if whole or any(map(needs_level, later)) else self.block_context

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The common stems of all members; a sum needs one member that makes it directly."""
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
        """The training data of all members."""
        return tuple(dict.fromkeys(data for one in self.members for data in one.trained_on))

    @property
    def trained_songs(self) -> Mapping[str, float]:
        """The training songs of all members."""
        return {mark: s for member in self.members for mark, s in member.trained_songs.items()}

    @property
    def trained_sounds(self) -> frozenset[str]:
        """The same by their sound."""
        return frozenset().union(*(member.trained_sounds for member in self.members))

    @property
    def license(self) -> str:
        """The licenses of all members."""
        return joined_terms(*(member.license for member in self.members))


def without_remainder(separator: AnySeparator) -> list[str]:
    """Return the stems that the separator makes itself."""
    return [stem for stem in separator.stems if stem != separator.remainder]


def needs_level(separator: AnySeparator) -> bool:
    """Return whether a separator or a member of it is fed at a fixed level."""
    return separator.level is not None or any(map(needs_level, separator.members))
