"""Fields of the section ``examples`` of a config, for all tests of training."""

from __future__ import annotations

import dataclasses

from sepbench.training.mix_config import MixConfig

PLAIN = {
    field.name: 0.0
    for field in dataclasses.fields(MixConfig)
    if field.name.startswith(("voice_", "backing_", "no_")) or field.name in ("layer", "fade")
}
"""No effect, and no stem left out."""
