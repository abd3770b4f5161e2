"""Checkpoints: everything to resume a run bit for bit, in one file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sepbench._util.files import write_atomic
from sepbench._util.plain import is_number, is_whole
from sepbench.errors import SepbenchError
from sepbench.weights import container

_BEGIN_AGAIN = "begin again in another --out"

ANOTHER = "give the folder or a checkpoint of a run"
"""The cure for a file that was given, as opposed to one of the run itself."""

_TABLES = ("model", "config", "network", "averaged", "optimiser", "half")
_COUNTS = ("epoch", "steps", "best_epoch")
_ALL = {"method", "weights", "best", "history", *_TABLES, *_COUNTS}


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically; raise `SepbenchError` if that fails."""
    content = io.BytesIO()
    torch.save(state, content)
    write_atomic(path, content.getbuffer())


def load(
    path: Path, device: torch.device, *, whole: bool = False, cure: str = _BEGIN_AGAIN
) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values, without running code.

    The types of all values are checked. ``method``, ``model`` and ``weights`` are present; if
    ``whole``, so is everything that is needed to resume the run. Raises `SepbenchError`, with the
    ``cure``, if the file is missing, damaged or something else.
    """
    if not path.is_file():
        raise SepbenchError(f"{path}: no such checkpoint; choose a folder or file of a run")
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many types, without messages for users
        raise SepbenchError(f"{path}: not a checkpoint of sepbench, or damaged; {cure}") from error
    if not (isinstance(state, dict) and {"method", "model", "weights"} <= state.keys()):
        raise SepbenchError(f"{path}: a torch file, but not a checkpoint of sepbench; {cure}")
    if whole and (missing := sorted(_ALL - state.keys())):
        raise SepbenchError(f"{path}: {missing[0]} is missing in this checkpoint; {cure}")
    if found := _fault(state):
        raise SepbenchError(f"{path}: damaged, {found}; {cure}")
    return state


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Raise `SepbenchError` if loading the state of ``path`` fails inside the block."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError):
        raise SepbenchError(
            f"{path}: its tensors do not fit the network; "
            "give the config's section 'model' that they were trained with"
        ) from None


def _fault(state: dict[str, Any]) -> str | None:
    """Return which value of a checkpoint is of the wrong type, or None."""
    if not isinstance(state["method"], str):
        return "method is not a name"
    for name in _TABLES:
        if not isinstance(state.get(name, {}), dict):
            return f"{name} is not a table"
    weights = state["weights"]
    if not (isinstance(weights, dict) and all(map(_is_tensor, weights.items()))):
        return "weights is not a table of tensors"
    for name in _COUNTS:
        if not (is_whole(state.get(name, 0)) and state.get(name, 0) >= 0):
            return f"{name} is not a count"
    if not is_number(state.get("best", 0.0)):
        return "best is not a number"
    history = state.get("history", [])
    if not (isinstance(history, list) and all(map(_is_row, history))):
        return "history is not a list of epochs with numbers"
    config = state.get("config", {})
    training = config.get("training", {})
    if not isinstance(training, dict):
        return "training is not a table"
    if not all(isinstance(training.get(name, {}), dict) for name in ("training", "examples")):
        return "training has a section that is not a table"
    return container.fault(config | {"model": state["model"]})


def _is_tensor(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], torch.Tensor)


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and all(map(is_number, row.values()))
