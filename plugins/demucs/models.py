"""Models of Demucs: read without unpickling, applied deterministically."""

from __future__ import annotations

import inspect
import json
import random
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from sepbench.errors import SepbenchError

from . import backend

_CLASSES: dict[str, type[torch.nn.Module]] = {
    f"demucs.{part}.{name}": getattr(backend.load(part), name)
    for part, name in {"demucs": "Demucs", "hdemucs": "HDemucs", "htdemucs": "HTDemucs"}.items()
}
"""The networks by their class names in files."""

_APPLY = backend.load("apply")
_SCALAR = np.float64(0).__reduce__()[0]
_PLAIN: list[Any] = [
    *((kind, name) for name, kind in _CLASSES.items()),
    Fraction,
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),  # As numpy 1 called it.
    np.dtype,
    type(np.dtype(np.float64)),
]
"""Allowed content of a packaged model besides tensors: its class, and numbers."""


def read_bag(
    paths: Sequence[Path], weights: Sequence[Sequence[float]] | None, segment: float | None
) -> Any:
    """Return the models of some files as one; raise `SepbenchError` for other files."""
    models = [read_model(path) for path in paths]
    return _APPLY.BagOfModels(
        models, [list(row) for row in weights] if weights else None, segment
    ).eval()


def read_model(path: Path) -> Any:
    """Return the model of a ``.safetensors`` or packaged file, without running its code.

    Raises `SepbenchError` if the file has anything but a model of demucs.
    """
    try:
        kind, arguments, options, state = (
            _from_tensors(path) if path.suffix == ".safetensors" else _from_package(path)
        )
        known = inspect.signature(kind).parameters
        with torch.random.fork_rng(devices=[]):
            model = kind(*arguments, **{k: v for k, v in options.items() if k in known})
        model.load_state_dict(state)
    except Exception:  # torch raises many types
        raise SepbenchError(f"{path}: not a model of demucs that can be read") from None
    return model.eval()


def apply(
    models: Any, mixture: torch.Tensor, *, overlap: float, shifts: int
) -> dict[str, torch.Tensor]:
    """Return the stems of a mixture, each ``(2, samples)`` like the mixture.

    The models get the song with zero mean and unit deviation, as in training.
    """
    middle = mixture.mean(0)
    mean, deviation = middle.mean(), middle.std(correction=int(len(middle) > 1)) + 1e-8
    # The package draws its shifts from the global random generator.
    before = random.getstate()
    random.seed(0)
    try:
        made = _APPLY.apply_model(
            models, ((mixture - mean) / deviation)[None], shifts=shifts, overlap=overlap
        )[0]
    finally:
        random.setstate(before)
    return dict(zip(models.sources, made * deviation + mean, strict=True))


def _from_tensors(path: Path) -> tuple[Any, list[Any], dict[str, Any], Mapping[str, Any]]:
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    kind = _CLASSES[header["klass"]]
    return kind, _decoded(header["args"]), _decoded(header["kwargs"]), state


def _from_package(path: Path) -> tuple[Any, list[Any], dict[str, Any], Mapping[str, Any]]:
    with torch.serialization.safe_globals(_PLAIN):
        package = torch.load(path, map_location="cpu", weights_only=True)
    kind = package["klass"]
    if kind not in _CLASSES.values():
        raise TypeError(kind)
    return kind, package["args"], package["kwargs"], package["state"]


def _decoded(text: str) -> Any:
    """Return parsed JSON, with fractions from their parts."""

    def whole(value: dict[str, Any]) -> Any:
        if value.get("_type") == "fraction":
            return Fraction(value["numerator"], value["denominator"])
        return value

    return json.loads(text, object_hook=whole)
