"""Oracles: upper bounds of masks and filters, from the true stems."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.errors import MethodError
from sepbench.separator import Oracle, option
from sepbench.stems import TARGET_SETS, merge_into_other

if TYPE_CHECKING:
    import torch

_CITATION = (
    "{}; as in Stöter, Liutkus, Ito: The 2018 Signal Separation Evaluation Campaign. LVA/ICA 2018"
)

_REST = "rest"
"""The stem of what the known stems leave of the mixture; it is not returned."""


class _Oracle(Oracle):
    """Makes vocals, drums, bass and other, or another set of stems that the track has."""

    stems = ("vocals", "drums", "bass", "other")
    version = "2"  # Raised when stems that a track lacks got a share of the mixture.
    license = "MIT"

    def separate(
        self, mixture: torch.Tensor, references: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the estimate of each known stem, ``(channels, samples)``."""
        made = self.estimates(mixture, self._known(mixture, references))
        return {name: stem for name, stem in made.items() if name != _REST}

    @abstractmethod
    def estimates(
        self, mixture: torch.Tensor, known: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the estimates of stems that sum to the mixture, each ``(channels, samples)``."""

    def _known(
        self, mixture: torch.Tensor, references: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return the references of the first target set that is complete.

        If no set is complete, what the known stems leave of the mixture is an additional stem,
        `_REST`.
        """
        for targets in TARGET_SETS:
            if all(name in references for name in targets):
                # Guitars and pianos are scored as parts of "other".
                merged = merge_into_other(references, targets)
                return {name: merged[name] for name in targets}
        known = {name: references[name] for name in self.stems if name in references}
        if not known:
            raise MethodError(self.name, f"the track has none of {', '.join(self.stems)}")
        return {**known, _REST: mixture - sum(known.values())}


class IdealBinaryMask(_Oracle):
    """Keeps the bins in which a stem's magnitude, to a power, reaches a share of the mixture's.

    Masks are independent: a bin may belong to several stems or to none.
    """

    name = "oracle-ibm"
    summary = "Ideal binary mask: keeps the bins in which the true stem dominates."
    citation = _CITATION.format("Wang: On Ideal Binary Mask as the Computational Goal of ASA. 2005")

    @dataclass(frozen=True)
    class Options:
        """Options; the defaults are SiSEC18's IBM2, ``power=1`` is its IBM1."""

        power: float = option(2.0, "exponent of the magnitudes", minimum=0.1, maximum=10.0)
        threshold: float = option(
            0.5, "share of the mixture to reach (theta)", minimum=0.0, maximum=1.0
        )
        n_fft: int = option(2048, "window in samples, hop is half", minimum=16, maximum=65536)

    options: Options

    def estimates(
        self, mixture: torch.Tensor, known: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the masked mixture for each stem, ``(channels, samples)``."""
        from . import masking

        return masking.binary(
            mixture,
            known,
            n_fft=self.options.n_fft,
            power=self.options.power,
            threshold=self.options.threshold,
        )


class IdealRatioMask(_Oracle):
    """Gives each stem its true share of every bin: of magnitude (power 1) or energy (power 2)."""

    name = "oracle-irm"
    summary = "Ideal ratio mask: gives each stem its true share of every bin."
    citation = _CITATION.format(
        "Liutkus, Badeau: Generalized Wiener Filtering with Fractional Power Spectrograms. "
        "ICASSP 2015"
    )

    @dataclass(frozen=True)
    class Options:
        """Options; the defaults are SiSEC18's IRM2, ``power=1`` is its IRM1."""

        power: float = option(2.0, "exponent of the magnitudes", minimum=0.1, maximum=10.0)
        n_fft: int = option(2048, "window in samples, hop is half", minimum=16, maximum=65536)

    options: Options

    def estimates(
        self, mixture: torch.Tensor, known: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the masked mixture for each stem, ``(channels, samples)``."""
        from . import masking

        return masking.ratio(
            mixture,
            known,
            n_fft=self.options.n_fft,
            power=self.options.power,
        )


class OracleWiener(_Oracle):
    """Filters all channels jointly, by each stem's true energies and mean spatial covariance."""

    name = "oracle-mwf"
    summary = "Multichannel Wiener filter with the true power spectra and spatial covariances."
    citation = _CITATION.format(
        "Duong, Vincent, Gribonval: Under-Determined Reverberant Audio Source Separation Using a "
        "Full-Rank Spatial Covariance Model. IEEE TASLP 2010"
    )

    @dataclass(frozen=True)
    class Options:
        """Options."""

        n_fft: int = option(2048, "window in samples, hop is half", minimum=16, maximum=65536)

    options: Options

    def estimates(
        self, mixture: torch.Tensor, known: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the filtered mixture for each stem, ``(channels, samples)``."""
        from . import wiener

        return wiener.multichannel(mixture, known, n_fft=self.options.n_fft)
