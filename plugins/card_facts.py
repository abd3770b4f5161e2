"""Separators whose facts are those of a card, a YAML file that a user writes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Protocol

from sepbench.separator import Separator


class Card(Protocol):
    """What a card of any kind says; ``rate`` is in Hz, ``remainder`` is what the stems leave."""

    @property
    def stems(self) -> Iterable[str]: ...  # noqa: D102 - said above, as of those below
    @property
    def remainder(self) -> str | None: ...  # noqa: D102
    @property
    def rate(self) -> int: ...  # noqa: D102
    @property
    def channels(self) -> int: ...  # noqa: D102
    @property
    def license(self) -> str: ...  # noqa: D102
    @property
    def citation(self) -> str: ...  # noqa: D102
    @property
    def trained_on(self) -> tuple[str, ...]: ...  # noqa: D102


class CardFacts(Separator):
    """A separator whose stems, audio, license and training are those of its card."""

    @property
    @abstractmethod
    def card(self) -> Card:
        """What is known; raises `SepbenchError` where that is nothing."""

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems of the card, and its remainder."""
        rest = self.card.remainder
        return (*self.card.stems, *([rest] if rest else []))

    @property
    def remainder(self) -> str | None:
        """What the stems leave, as the card says."""
        return self.card.remainder

    @property
    def sample_rate(self) -> int:
        """That of the card."""
        return self.card.rate

    @property
    def channels(self) -> int:
        """Those of the card."""
        return self.card.channels

    @property
    def license(self) -> str:
        """As the card says."""
        return self.card.license

    @property
    def citation(self) -> str:
        """Where it comes from, as the card says."""
        return self.card.citation

    @property
    def trained_on(self) -> tuple[str, ...]:
        """What the card says of its training."""
        return self.card.trained_on
