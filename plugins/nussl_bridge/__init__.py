"""nussl's own separators: classical ones, and its estimation of masks by a network.

Of nussl 1.1.9 these run beside today's libraries and say what their estimates are of. DUET uses a
part of numpy that is gone, Melodia a plugin of another program; ICA, PROJET and the clusterings by
timbre and by place give sources without names; ideal masks are the methods ``oracle-ibm`` and
``oracle-irm``.
"""

from .classical import FT2D, HPSS, RPCA, Repet, RepetSim
from .ensemble import Ensemble
from .masks import DeepMask

__all__ = ["FT2D", "HPSS", "RPCA", "DeepMask", "Ensemble", "Repet", "RepetSim"]
