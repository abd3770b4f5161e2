"""The nsgt library as an independent implementation: what it takes to use it with today's numpy."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any


def library_frame(
    frequencies: Sequence[float], rate: float, samples: int, *, matrix: bool = True
) -> Any:
    """Return the library's transform; raise ImportError where it is not installed.

    nsgt 0.19 takes any scale that says its frequencies. It clips integers to infinity in place,
    which numpy no longer does; it is given a numpy that does, while it lays out the bands.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nsgt
        from nsgt import nsgfwin_sl

    class Scale(nsgt.Scale):
        def __call__(self) -> tuple[Any, Any]:
            return _Numpy.array(frequencies), _Numpy.ones(len(frequencies))

    numpy = nsgfwin_sl.np
    nsgfwin_sl.np = _Numpy
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return nsgt.NSGT(Scale(len(frequencies)), rate, samples, real=True, matrixform=matrix)
    finally:
        nsgfwin_sl.np = numpy


class _ClippingNumpy:
    def __getattr__(self, name: str) -> Any:
        import numpy

        return getattr(numpy, name)

    def clip(self, values: Any, low: float, _: float, out: Any) -> Any:
        return self.maximum(values, low, out=out, casting="unsafe")


_Numpy = _ClippingNumpy()
