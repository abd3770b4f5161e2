"""The contract of separators.

A separator is one class with declared facts and two methods: `load` and `separate`. It takes a
tensor and returns tensors; sepbench handles files, devices, sample rates, blocks, timing and
scores.

There are three kinds:

============  =====================================================  ====================
class         input                                                  runs in
============  =====================================================  ====================
`Separator`   the mixture                                            all commands
`Oracle`      the mixture and the true stems                         ``evaluate``
`Ensemble`    the mixture and the estimates of its members           all commands
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
    joined_terms,
)
from sepbench.separator.kinds import Ensemble, Oracle, Separator, needs_level, without_remainder

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
    "joined_terms",
    "needs_level",
    "option",
    "without_remainder",
]
