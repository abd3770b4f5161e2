"""Loads initial weights for a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from sepbench.errors import SepbenchError
from sepbench.training import checkpoint, run_weights
from sepbench.weights import container, training_data


def load_initial(network: nn.Module, where: Path, *, method: str) -> dict[str, Any]:
    """Load the weights of a file or checkpoint, or the best weights of a run, into a network.

    Returns their provenance for the header of the new weights: the ``sha256`` of the file, the
    number of ``steps``, and what they were trained on. Raises `SepbenchError` if there are none, if
    they are of another method, and if they do not fit the network.
    """
    path = where / run_weights.BEST if where.is_dir() else where
    if where.is_dir() and not path.is_file():
        raise SepbenchError(
            f"{where}: no {run_weights.BEST} in it; "
            "give the folder of a run, or a .safetensors file"
        )
    is_checkpoint = path.suffix == run_weights.SUFFIX
    if is_checkpoint:
        state = checkpoint.load(path, torch.device("cpu"), cure=checkpoint.ANOTHER)
        found, steps = state["method"], state.get("steps", 0)
        known = state.get("config", {})
    else:
        known = container.read_header(path)
        found, steps = known.get("method"), known.get("steps", 0)
    if found != method:
        raise SepbenchError(f"{path}: weights of {found}, not of {method}; give some of {method}")
    if is_checkpoint:
        with checkpoint.fitting(path):
            network.load_state_dict(state["weights"])
    else:
        container.load_into(network, path)
    return {
        "sha256": container.sha256(path),
        "steps": steps,
        **training_data.merged(known),
    }
