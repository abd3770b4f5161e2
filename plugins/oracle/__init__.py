"""Upper bounds: what masks and filters reach when the true stems are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sepbench.separator import OracleSeparator

if TYPE_CHECKING:
    import torch


class IdealBinaryMask(OracleSeparator):
    """Keeps the bins in which a stem holds its share of the mixture."""

    name = "oracle-ibm"
    summary = "Ideal binary mask: keeps the bins in which the true stem dominates."
    stems = ("vocals", "drums", "bass", "other")
    licence = "MIT"
    citation = "Wang: On Ideal Binary Mask as the Computational Goal of ASA. 2005"

    def separate_knowing(
        self, mixture: torch.Tensor, references: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the masked mixture for each stem."""
        raise NotImplementedError


class IdealRatioMask(IdealBinaryMask):
    """Gives each stem its true share of every bin."""

    name = "oracle-irm"
    summary = "Ideal ratio mask: gives each stem its true share of every bin."


class OracleWiener(IdealBinaryMask):
    """Filters with the true power spectra and spatial covariances."""

    name = "oracle-mwf"
    summary = "Multichannel Wiener filter with the true power spectra and spatial covariances."
