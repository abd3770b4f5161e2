"""The weights of the detector that come with the package."""

from __future__ import annotations

from pathlib import Path

from sepbench.separator import WeightFile

DEFAULT = Path(__file__).parent / "weights" / "default.safetensors"
"""Where they are."""

SHA256 = "b812e1e68f63b6010c55deb3144dcb695acd830cbf893e268e7601b64c0a9242"

LICENSE = "weights CC-BY-NC-SA-4.0"


def weight_file() -> WeightFile:
    """Return what a separator that uses the detector declares beside its own weights."""
    return WeightFile("voice-activity.safetensors", SHA256, path=DEFAULT, terms="CC-BY-NC-SA-4.0")
