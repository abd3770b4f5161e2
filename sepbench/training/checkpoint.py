"""Checkpoints: everything to resume a run bit for bit, in one file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from sepbench._util.files import write_atomic
from sepbench.errors import SepbenchError

_CURE = "begin again in another --out"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically; raise `SepbenchError` if that fails."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomic(path, content.getbuffer())


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values, without running code.

    Raises `SepbenchError` if there is none or it is damaged.
    """
    if not path.is_file():
        raise SepbenchError(f"{path}: no checkpoint to resume from; leave out --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many types, without messages for users
        raise SepbenchError(f"{path}: not a checkpoint of sepbench, or damaged; {_CURE}") from error
    if not (isinstance(state, dict) and {"method", "model", "weights"} <= state.keys()):
        raise SepbenchError(f"{path}: a torch file, but not a checkpoint of sepbench; {_CURE}")
    return state
