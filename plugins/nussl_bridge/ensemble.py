"""nussl's clustering of what several of its separators say of each bin."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sepbench.separator import option

from .base import NusslSeparator


class Ensemble(NusslSeparator):
    """Primitive clustering: bins of which 2DFT and REPET-SIM say alike go together.

    Each bin is a point: what the foreground masks of both are there. K-means begins at all zeros,
    the background, and all ones, the foreground, so that its clusters have names and are the
    same each time.
    """

    name = "nussl-ensemble"
    summary = "nussl's clustering of the masks of 2DFT and REPET-SIM."
    citation = (
        "Seetharaman: Bootstrapping the Learning Process for Computer Audition. "
        "Northwestern University 2019"
    )

    @dataclass(frozen=True)
    class Options(NusslSeparator.Options):
        """What can be tuned; the defaults are nussl's."""

        percentile: float = option(
            90.0,
            "percentage of the softest bins that k-means leaves out",
            minimum=0.0,
            maximum=99.9,
        )
        beta: float = option(5.0, "how hard the soft masks are", minimum=0.0, maximum=1000.0)

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
