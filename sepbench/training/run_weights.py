"""Uses the weights of a stopped or running training without a weight file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench._util.walk import LAST_CHECKPOINT
from sepbench.errors import MethodError, SepbenchError
from sepbench.training.model_class import model_class
from sepbench.weights import container

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "weights.safetensors"
"""The weight file of a finished run."""

BEST, LAST = "best.pt", LAST_CHECKPOINT
"""The checkpoints of the best and of the last epoch of a run."""

SUFFIX = ".pt"
"""Suffix of the checkpoints of a run."""


def newest(method: str, run: Path) -> Path:
    """Return the file of a run's folder that holds its best weights.

    It is the weight file of a finished run, else the checkpoint of the best epoch, else of the
    last. Raises `SepbenchError` if there is none.
    """
    finished, best, last = (run / name for name in (WEIGHTS, BEST, LAST))
    if finished.is_file() and not (
        best.is_file() and best.stat().st_mtime_ns > finished.stat().st_mtime_ns
    ):
        return finished
    for file in (best, last):
        if file.is_file():
            return file
    raise MethodError(
        method,
        f"{run}: not a run, it has no {WEIGHTS}, {BEST} or {LAST}; "
        f"train one with 'sepbench train {method} -o {run}'",
    )


def read_header(file: Path) -> dict[str, Any]:
    """Return the header of a weight file made from a checkpoint.

    Raises `SepbenchError` if it is not a checkpoint of sepbench, or has sizes out of range.
    """
    try:
        state = file.stat()
    except OSError as error:
        raise SepbenchError(f"{file}: cannot be read: {error.strerror or error}") from None
    return dict(_header(file, state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=8)
def _header(file: Path, changed: int, size: int) -> dict[str, Any]:
    import torch

    from sepbench import registry
    from sepbench.training import checkpoint
    from sepbench.training.export import header_of
    from sepbench.training.model import BADLY_DESCRIBED

    state = checkpoint.load(file, torch.device("cpu"), cure=checkpoint.ANOTHER)
    container.check(file, {"model": state["model"]})
    separator: Any = registry.plugin(state["method"]).separator
    kind = model_class(separator)
    try:
        context = kind(state["model"]).context
    except BADLY_DESCRIBED as error:
        raise SepbenchError(f"{file}: does not describe a network of {state['method']}") from error
    return header_of(state, context)


def load_into(network: nn.Module, file: Path) -> None:
    """Load the weights of a checkpoint into a network, which may lack parts."""
    import torch

    from sepbench.training import checkpoint

    weights = checkpoint.load(file, torch.device("cpu"), cure=checkpoint.ANOTHER)["weights"]
    wanted = {name.split(".")[0] for name in network.state_dict()}
    own = {name: tensor for name, tensor in weights.items() if name.split(".")[0] in wanted}
    try:
        network.load_state_dict(own)
    except RuntimeError:
        raise SepbenchError(
            f"{file}: its tensors do not fit the network that it describes"
        ) from None
