"""Base of separators with facts in a card, a YAML file written by a user."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Protocol

from sepbench.separator import Separator


class Card(Protocol):
    """The common fields of cards; ``rate`` is in Hz."""

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
    """A separator with stems, rate, channels, license and training data from its card."""

    @property
    @abstractmethod
    def card(self) -> Card:
        """The card; raises `SepbenchError` if none is given or it is invalid."""

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems of the card, and its remainder."""
        rest = self.card.remainder
        return (*self.card.stems, *([rest] if rest else []))

    @property
    def remainder(self) -> str | None:
        """The remainder of the card."""
        return self.card.remainder

    @property
    def sample_rate(self) -> int:
        """The rate of the card."""
        return self.card.rate

    @property
    def channels(self) -> int:
        """The channels of the card."""
        return self.card.channels

    @property
    def license(self) -> str:
        """The license of the card."""
        return self.card.license

    @property
    def citation(self) -> str:
        """The citation of the card."""
        return self.card.citation

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The training data of the card."""
        return self.card.trained_on
