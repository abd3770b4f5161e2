"""nussl's own separators: classical ones, and mask estimation by a network.

These separators of nussl 1.1.9 run with current libraries and name their estimates. DUET needs a
removed part of numpy, Melodia a plugin of another program; ICA, PROJET and the clusterings by
timbre and by position give sources without names; ideal masks are the methods ``oracle-ibm`` and
``oracle-irm``.
"""

from .classical import FT2D, HPSS, RPCA, Repet, RepetSim
from .ensemble import Ensemble
from .masks import DeepMask

__all__ = ["FT2D", "HPSS", "RPCA", "DeepMask", "Ensemble", "Repet", "RepetSim"]
