"""The contract that every separator fulfils.

A separator is one class. It declares facts that a program can read, and it has two methods: `load`
and `separate`. It sees a tensor and returns tensors; files, devices, sample rates, blocks, timing
and scores are the host's work.

There are three kinds, siblings of one another:

============  =====================================================  ====================
class         is given                                               runs in
============  =====================================================  ====================
`Separator`   the mixture                                            all verbs
`Oracle`      the mixture and the true stems                         ``evaluate``
`Ensemble`    the mixture and what its members made of it            all verbs
============  =====================================================  ====================

Keep heavy imports (torch among them) inside the methods: ``sepbench methods`` reads the facts of
all separators in a fraction of a second.
"""

from sepbench.options import NoOptions, option
from sepbench.separator.base import AnySeparator
from sepbench.separator.facts import (
    BLOCK_ALIGNMENT,
    UNKNOWN_TRAINING,
    Requirement,
    SampleCount,
    WeightFile,
    in_samples,
)
from sepbench.separator.kinds import Ensemble, Oracle, Separator

__all__ = [
    "BLOCK_ALIGNMENT",
    "UNKNOWN_TRAINING",
    "AnySeparator",
    "Ensemble",
    "NoOptions",
    "Oracle",
    "Requirement",
    "SampleCount",
    "Separator",
    "WeightFile",
    "in_samples",
    "option",
]
