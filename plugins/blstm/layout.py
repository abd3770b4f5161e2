"""Converts between our mask inference network and nussl's modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ARGUMENTS = (
    "num_features",
    "num_audio_channels",
    "hidden_size",
    "num_layers",
    "bidirectional",
    "dropout",
    "num_sources",
)
_FLOOR = 1e-4
"""nussl's default lowest magnitude for decibels."""

_OURS = {
    "input_normalization.": "input_normalization.",
    "projection.linear.": "projection_linear.",
    "projection.norm.": "projection_norm.",
    "recurrent_stack.": "recurrent_stack.",
    "head.linear.": "head_linear.",
    "head.norm.": "head_norm.",
    "embedding.": "embedding.",
}
"""Prefixes of our tensors, and their modules in an exported checkpoint."""

_BUILT = {
    "input_normalization.": "normalization.",
    "recurrent_stack.": "recurrent_stack.",
    "embedding.": "mask.",
}
"""The same for what nussl builds (``build_recurrent_mask_inference``)."""


def our_parts(
    config: Mapping[str, Any], state: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the arguments of the network and its tensors by our names.

    Supports a single module, as published, the modules of `nussl_config`, and those of nussl's
    builder. Raises KeyError, TypeError or ValueError for others.
    """
    modules = config["modules"]
    for name, module in modules.items():
        arguments = module.get("args") or {}
        if set(_ARGUMENTS) <= set(arguments):
            known = {key: arguments[key] for key in _ARGUMENTS}
            activation = arguments.get("activation", "sigmoid")
            return {**known, "activation": activation}, _renamed(state, {"": f"{name}."})
    names = _BUILT if "normalization" in modules else _OURS
    tensors = _renamed(state, names)
    stack = modules["recurrent_stack"]["args"]
    embedding = modules[names["embedding."].rstrip(".")]["args"]
    if stack.get("rnn_type", "lstm") != "lstm":
        raise ValueError("its recurrent layers are not an LSTM")
    arguments = {
        "num_features": embedding["num_features"],
        "num_audio_channels": embedding.get("num_audio_channels", 1),
        "hidden_size": stack["hidden_size"],
        "num_layers": stack["num_layers"],
        "bidirectional": bool(stack["bidirectional"]),
        "dropout": stack["dropout"],
        "num_sources": embedding["embedding_size"],
        "activation": embedding["activation"],
    }
    for layer in ("projection", "head"):
        if layer in modules:
            arguments[layer] = len(tensors[f"{layer}.linear.weight"])
    for _, inputs in config["connections"]:
        for given in inputs:
            if isinstance(given, Mapping):
                arguments["floor"] = float(given["amin"])
    # nussl's builder normalises all bins by one mean, unless told otherwise.
    for name, tensor in tensors.items():
        if name.startswith("input_normalization.") and tensor.shape == (1,):
            tensors[name] = np.repeat(tensor, arguments["num_features"])
    return arguments, tensors


class _Graph:
    """The modules of a ``SeparationModel`` and their connections, in order."""

    def __init__(self) -> None:
        self.modules: dict[str, Any] = {"mix_magnitude": {}}
        self.connections: list[Any] = []

    def add(self, name: str, kind: str, inputs: list[Any], **arguments: Any) -> None:
        """Add a module that is given these inputs."""
        self.modules[name] = {"class": kind, "args": arguments}
        self.connections.append([name, inputs])

    def add_dense(self, name: str, source: str, ins: int, outs: int) -> None:
        """Add a dense layer, its normalisation and its activation."""
        linear, norm = f"{name}_linear", f"{name}_norm"
        self.add(linear, "Linear", [source], in_features=ins, out_features=outs, bias=False)
        self.add(norm, "BatchNorm", [linear], num_features=outs)
        self.add(name, "ReLU", [norm])

    def add_recurrent(self, source: str, ins: int, model: Mapping[str, Any]) -> None:
        """Add the stack of recurrent layers."""
        layers = int(model["num_layers"])
        self.add(
            "recurrent_stack",
            "RecurrentStack",
            [source],
            num_features=ins,
            hidden_size=int(model["hidden_size"]),
            num_layers=layers,
            bidirectional=bool(model["bidirectional"]),
            dropout=float(model["dropout"]) if layers > 1 else 0.0,
        )


def nussl_config(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return the modules and connections of nussl's ``SeparationModel`` for a model of ours."""
    bins, channels = int(model["num_features"]), int(model["num_audio_channels"])
    projection, head = int(model.get("projection", 0)), int(model.get("head", 0))
    recurrent = int(model["hidden_size"]) * (2 if model["bidirectional"] else 1)
    graph = _Graph()
    add, add_dense = graph.add, graph.add_dense
    floor = float(model.get("floor", _FLOOR))
    add("decibels", "AmplitudeToDB", ["mix_magnitude", *([{"amin": floor}] * (floor != _FLOOR))])
    add("input_normalization", "BatchNorm", ["decibels"], num_features=bins)
    add("flat", "Flatten", ["input_normalization"], start_dim=2)
    last = "flat"
    if projection:
        add_dense("projection", last, bins * channels, projection)
        last = "projection"
    graph.add_recurrent(last, projection or bins * channels, model)
    last = "recurrent_stack"
    if projection:
        add("joined", "Concatenate", ["projection", "recurrent_stack"], dim=-1)
        last = "joined"
    if head:
        add_dense("head", last, recurrent + projection, head)
        last = "head"
    add(
        "embedding",
        "Embedding",
        [last],
        num_features=bins,
        hidden_size=head or recurrent + projection,
        embedding_size=int(model["num_sources"]),
        activation=model["activation"],
        num_audio_channels=channels,
    )
    add("mask", "Alias", ["embedding"])
    add("estimates", "Mask", ["mask", "mix_magnitude"])
    return {
        "name": "MaskInference",
        "modules": graph.modules,
        "connections": graph.connections,
        "output": ["estimates", "mask"],
    }


def nussl_name(name: str) -> str:
    """Return the name of a tensor in a checkpoint with the modules of `nussl_config`."""
    ours = next(begin for begin in _OURS if name.startswith(begin))
    return f"layers.{_OURS[ours]}{name.removeprefix(ours)}"


def _renamed(state: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    found = {}
    for key, tensor in state.items():
        fits = [ours for ours, theirs in names.items() if key.startswith(f"layers.{theirs}")]
        if not fits:
            raise ValueError(f"no place for its tensor {key}")
        found[fits[0] + key.removeprefix(f"layers.{names[fits[0]]}")] = np.asarray(tensor)
    return found
