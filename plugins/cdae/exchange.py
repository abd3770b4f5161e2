"""The published models of MiXiN, read into one weight file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sepbench.errors import SepbenchError
from sepbench.training import weights

_FILES = {"vocals": "vocal.h5", "percussive": "percussive.h5", "harmonic": "harmonic.h5"}

MODEL = {
    "architecture": "published",
    "rate": 44100,
    "bands": 96,
    "samples": 44032,
    "overlap": 0.0,
    "objective": "magnitude",
}
"""The section ``model`` of a config that these weights are for."""


class MixinExchange:
    """Keras models of MiXiN, of which only the tensors are read."""

    summary = "MiXiN's three Keras models (harmonic.h5, percussive.h5, vocal.h5), for method cdae"

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        """Write the tensors of a folder with the three models to the weight file ``out``.

        Raises `SepbenchError` where a file is missing or holds another network.
        """
        from .model import CdaeTrainable

        network = CdaeTrainable(MODEL).network()
        tensors = {
            f"{stem}.{name}": tensor
            for stem, file in _FILES.items()
            for name, tensor in _tensors(source / file).items()
        }
        wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
        if {name: tensor.shape for name, tensor in tensors.items()} != wanted:
            raise SepbenchError(f"{source}: its models are not MiXiN's eight convolutions")
        header = {
            "method": "cdae",
            "model": MODEL,
            "context": None,
            "config": {},
            "config_sha256": weights.digest({}),
            "trained_on": ["unknown"],
            "licence": "as the models'",
            "notes": f"read from {', '.join(sorted(_FILES.values()))}",
            "epochs": 0,
            "steps": 0,
            "validation": {},
        }
        weights.save(out, tensors, header, half=False)
        return header


def _tensors(path: Path) -> dict[str, Any]:
    """Return kernels ``(out, in, height, width)`` and biases by our names, in order of layers."""
    import torch

    try:
        import h5py
    except ImportError:
        raise SepbenchError(
            "reading MiXiN's models needs h5py: pip install 'sepbench[mixin]'"
        ) from None
    tensors: dict[str, Any] = {}
    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            layers = [name for name in _names(group, "layer_names") if len(group[name])]
            for depth, layer in enumerate(layers):
                ours = "last" if depth == len(layers) - 1 else f"convs.{depth}"
                own = group[layer]
                kernel, bias = (own[name][()] for name in _names(own, "weight_names"))
                tensors[f"{ours}.weight"] = torch.from_numpy(kernel).permute(3, 2, 0, 1)
                tensors[f"{ours}.bias"] = torch.from_numpy(bias)
    except FileNotFoundError:
        raise SepbenchError(
            f"{path}: no such file; MiXiN has {', '.join(_FILES.values())}"
        ) from None
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise SepbenchError(f"{path}: not a Keras model of MiXiN ({reason})") from None
    return tensors


def _names(group: Any, attribute: str) -> list[str]:
    return [
        name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[attribute]
    ]
