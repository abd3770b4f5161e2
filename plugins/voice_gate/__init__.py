"""Mutes the vocals of any method where nobody sings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sepbench.activity.shipped import LICENSE, weight_file
from sepbench.errors import SepbenchError
from sepbench.separator import AnySeparator, Ensemble, WeightFile, joined_terms, option

if TYPE_CHECKING:
    import torch


class VoiceGate(Ensemble):
    """Mutes the vocals of another method where a detector finds no singing in the mixture.

    It fades whole passages, not frequencies. If the method's accompaniment is the remainder, it
    contains what is removed from the vocals.
    """

    name = "voice-gate"
    version = "2"  # Raised when songs longer than a block were no longer gated block by block.
    summary = "The stems of another method, its vocals muted where nobody sings."
    citation = (
        "Schlüter and Lehner: Zero-Mean Convolutions for Level-Invariant Singing Voice Detection. "
        "ISMIR 2018"
    )

    @dataclass(frozen=True)
    class Options:
        """Options."""

        method: str = option(
            "unet", "the method, as in voice-gate[repet-sim[recipe=librosa]]", unnamed=True
        )
        threshold: float = option(0.2, "least probability of singing", minimum=0.0, maximum=1.0)

    options: Options
    sample_rate = 44_100
    block_context = None
    """The detector needs whole passages of singing."""

    def __init__(
        self, options: Options | None = None, members: Sequence[AnySeparator] = ()
    ) -> None:
        super().__init__(options, members)
        if members and "vocals" not in self.stems:
            raise SepbenchError(
                f"method voice-gate: {members[0].name} makes no vocals; "
                "name a method that does, as in voice-gate[unet]"
            )

    @classmethod
    def methods(cls, options: Options) -> Sequence[str]:
        """Return the method as a user would type it."""
        return [options.method]

    @property
    def license(self) -> str:
        """The licenses of the method and of the detector's weights."""
        return joined_terms(super().license, LICENSE)

    @property
    def weight_files(self) -> tuple[WeightFile, ...]:
        """The detector's."""
        return (weight_file(),)

    @property
    def remainder(self) -> str | None:
        """The method's remainder; the accompaniment where that is the vocals."""
        found = super().remainder
        if found != "vocals":
            return found
        return "accompaniment" if "accompaniment" in self.stems else None

    def load(self, device: torch.device) -> None:
        """Read the detector's weights."""
        from sepbench.activity.detector import VoiceDetector

        self._detector = VoiceDetector(device=device)

    def combine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the method's stems with gated vocals, each ``(channels, samples)``."""
        from sepbench.activity.gate import CAUTIOUS, closed_where_silent

        stems = {name: estimate[0] for name, estimate in estimates.items()}
        rate = self.sample_rate
        heard = self._detector.probabilities(mixture.cpu().numpy(), rate)
        decision = replace(CAUTIOUS, threshold=self.options.threshold)
        stems["vocals"] = closed_where_silent(stems["vocals"], heard, rate, decision)
        return stems
