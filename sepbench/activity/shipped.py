"""The detector's included weights."""

from __future__ import annotations

from pathlib import Path

from sepbench.separator import WeightFile

DEFAULT = Path(__file__).parent / "weights" / "default.safetensors"
"""Where they are."""

SHA256 = "3f5ed8bb8cd3a9039d128bc46dca5ca2ef53077855b54d7a4e3e280cd44aba16"

LICENSE = "weights CC-BY-NC-SA-4.0"


def weight_file() -> WeightFile:
    """Return the detector's weights, for the declaration of a separator that uses them."""
    return WeightFile("voice-activity.safetensors", SHA256, path=DEFAULT, terms="CC-BY-NC-SA-4.0")
