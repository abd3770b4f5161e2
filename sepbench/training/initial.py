"""Loads initial weights for a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from sepbench.errors import SepbenchError
from sepbench.training import checkpoint
from sepbench.weights import container, training_data


def load_initial(network: nn.Module, where: Path, *, method: str) -> dict[str, Any]:
    """Load the weights of a file, or the best weights of a run, into a network.

    Returns their provenance for the header of the new weights: their ``sha256`` (for a run, that of
    its checkpoint), the number of ``steps``, and what they were trained on. Raises `SepbenchError`
    if there are none, if they are of another method, and if they do not fit the network.
    """
    if where.is_dir():
        path = where / "best.pt"
        if not path.is_file():
            raise SepbenchError(
                f"{where}: no best.pt in it; give the folder of a run, or a .safetensors file"
            )
        state = checkpoint.load(path, torch.device("cpu"))
        found, steps = state["method"], state.get("steps", 0)
        known = state.get("config", {})
    else:
        path, header = where, container.read_header(where)
        found, steps = header.get("method"), header.get("steps", 0)
        known = header
    if found != method:
        raise SepbenchError(f"{path}: weights of {found}, not of {method}; give some of {method}")
    if where.is_dir():
        _load_state(network, state["weights"], path)
    else:
        container.load_into(network, path)
    return {
        "sha256": container.sha256(path),
        "steps": steps,
        **training_data.merged(known),
    }


def _load_state(network: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise SepbenchError(
            f"{path}: its tensors do not fit the network; "
            "give the config's section 'model' that they were trained with"
        ) from None
