"""Voice, drums, bass and other by two included networks, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.errors import MethodError
from sepbench.separator import Ensemble, option
from sepbench.stems import with_sums

if TYPE_CHECKING:
    import torch

    from sepbench.separator import AnySeparator

_BAND = ("drums", "bass", "other")
_SPLITS_THE_BAND = "cdae[weights=four-stems,instrumental=true]"


class FourStems(Ensemble):
    """Takes the voice out by one method, and splits the accompaniment by `cdae`.

    All stems sum to the song; the voice is what is not drums, bass or other.
    """

    name = "four-stems"
    summary = "Voice, drums, bass and other: unet-stereo, then cdae on the accompaniment."

    @dataclass(frozen=True)
    class Options:
        """Options."""

        voice: str = option(
            "unet-stereo",
            "method that takes the voice out, as in four-stems[spleeter]",
            unnamed=True,
        )

    options: Options
    stems = ("vocals", *_BAND)
    remainder = "vocals"
    links = ("accompaniment",)
    combined_stems = _BAND

    def __init__(
        self, options: Options | None = None, members: Sequence[AnySeparator] = ()
    ) -> None:
        super().__init__(options, members)
        if members and "accompaniment" not in with_sums(dict.fromkeys(members[0].stems, 0)):
            raise MethodError(
                self.name,
                f"{members[0].name} makes no accompaniment; name a method that does, "
                "as in four-stems[unet]",
            )

    @classmethod
    def methods(cls, options: Options) -> Sequence[str]:
        """Return the members as a user would type them."""
        return [options.voice, _SPLITS_THE_BAND]

    @property
    def citation(self) -> str:
        """The publications of both members."""
        return "; ".join(dict.fromkeys(member.citation for member in self.members))

    def combine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return drums, bass and other, each ``(channels, samples)``."""
        return {stem: estimates[stem][0] for stem in _BAND}
