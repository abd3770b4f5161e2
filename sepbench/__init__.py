"""sepbench: many music source separators on the same songs, compared with numbers and sound.

    >>> import sepbench
    >>> stems = sepbench.separate("song.wav", method="hpss")              # doctest: +SKIP
    >>> run = sepbench.evaluate(["hpss", "repet-sim"])                    # doctest: +SKIP
    >>> sepbench.score({"vocals": truth}, {"vocals": made}, rate=44100)   # doctest: +SKIP

Everything here is imported when it is first used, so ``import sepbench`` takes milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sepbench.datasets import listing as datasets
    from sepbench.errors import SepbenchError
    from sepbench.inference.arrays import separate
    from sepbench.options import option
    from sepbench.registry.metadata import listing as methods
    from sepbench.report.arrays import score
    from sepbench.report.compare import compare_runs as compare
    from sepbench.report.run import Run, evaluate, open_run
    from sepbench.separator import Ensemble, Oracle, SampleCount, Separator, WeightFile

_HOME = {
    "Ensemble": "sepbench.separator",
    "Oracle": "sepbench.separator",
    "Run": "sepbench.report.run",
    "SampleCount": "sepbench.separator",
    "SepbenchError": "sepbench.errors",
    "Separator": "sepbench.separator",
    "WeightFile": "sepbench.separator",
    "compare": "sepbench.report.compare:compare_runs",
    "evaluate": "sepbench.report.run",
    "methods": "sepbench.registry.metadata:listing",
    "open_run": "sepbench.report.run",
    "option": "sepbench.options",
    "score": "sepbench.report.arrays",
    "separate": "sepbench.inference.arrays",
}
"""Where each public name is defined, as ``module`` or ``module:name``."""

__all__ = [
    "Ensemble",
    "Oracle",
    "Run",
    "SampleCount",
    "Separator",
    "SepbenchError",
    "WeightFile",
    "compare",
    "datasets",
    "evaluate",
    "methods",
    "open_run",
    "option",
    "score",
    "separate",
]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        # The package of that name can be called: `sepbench.datasets()` lists what there is.
        return importlib.import_module("sepbench.datasets")
    if name not in _HOME:
        raise AttributeError(f"module 'sepbench' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    found = getattr(importlib.import_module(module), attribute or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
