"""nussl's clustering of the masks of several separators."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sepbench.separator import option

from .base import MaskOptions, NusslSeparator


class Ensemble(NusslSeparator):
    """Primitive clustering: groups bins with similar masks of 2DFT and REPET-SIM.

    Each bin is a point: the values of both foreground masks. K-means starts from all zeros, the
    background, and all ones, the foreground, so that clusters have names and are reproducible.
    """

    name = "nussl-ensemble"
    summary = "nussl's clustering of the masks of 2DFT and REPET-SIM."
    citation = (
        "Seetharaman: Bootstrapping the Learning Process for Computer Audition. "
        "Northwestern University 2019"
    )

    @dataclass(frozen=True)
    class Options(NusslSeparator.Options, MaskOptions):
        """Options; the defaults are nussl's."""

        percentile: float = option(
            90.0,
            "percentage of the quietest bins left out of k-means",
            minimum=0.0,
            maximum=99.9,
        )
        beta: float = option(5.0, "hardness of the soft masks", minimum=0.0, maximum=1000.0)

    options: Options

    def build(self, nussl: ModuleType, signal: Any) -> Any:
        """Return nussl's ``EnsembleClustering``."""
        primitive = nussl.separation.primitive
        members = [primitive.FT2D(signal), primitive.RepetSim(signal)]
        return nussl.separation.composite.EnsembleClustering(
            signal,
            2,
            members,
            returns=[[1] for _ in members],
            percentile=self.options.percentile,
            beta=self.options.beta,
            mask_type=self.options.mask_type,
            init=[[0.0 for _ in members], [1.0 for _ in members]],
            n_init=1,
            random_state=0,
        )
