"""Converts the published models of MiXiN to a weight file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sepbench.errors import SepbenchError
from sepbench.weights import container

if TYPE_CHECKING:
    import torch

_FILES = {"vocals": "vocal.h5", "percussive": "percussive.h5", "harmonic": "harmonic.h5"}

MODEL = {
    "architecture": "published",
    "rate": 44100,
    "bands": 96,
    "samples": 44032,
    "overlap": 0.0,
    "objective": "magnitude",
}
"""The section ``model`` for these weights."""


class MixinExchange:
    """Keras models of MiXiN; only their tensors are read."""

    summary = "MiXiN's three Keras models (harmonic.h5, percussive.h5, vocal.h5), for method cdae"

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        """Write the tensors of a folder with the three models to the weight file ``out``.

        Raises `SepbenchError` if the folder or a file is missing, or a file has another network.
        """
        from .model import CdaeTrainable

        files = _find(source)
        tensors: dict[str, torch.Tensor] = {}
        for stem, network in CdaeTrainable(MODEL).network().items():
            wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
            found = _tensors(files[stem], wanted)
            tensors |= {f"{stem}.{name}": tensor for name, tensor in found.items()}
        names = ", ".join(sorted(file.name for file in files.values()))
        header = container.imported("cdae", MODEL, files=names, license="as the models'")
        container.save(out, tensors, header, half=False)
        return header


def _find(source: Path) -> dict[str, Path]:
    """Return the model of each stem: ``vocal.h5``, or the one file such as ``model_vocal.h5``."""
    found = {}
    for stem, name in _FILES.items():
        word = name.removesuffix(".h5")
        files = (
            [source / name] if (source / name).is_file() else sorted(source.glob(f"*{word}*.h5"))
        )
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise SepbenchError(f"{source}: several models of {word}: {names}; leave one, {name}")
        if not files:
            what = f"no {name} in it" if source.is_dir() else "no folder"
            raise SepbenchError(
                f"{source}: {what}; give the folder with {', '.join(_FILES.values())}"
            )
        found[stem] = files[0]
    return found


def _tensors(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Return a model's tensors by the names and in the shapes ``wanted``, layer by layer.

    Shapes are checked before anything is read.
    """
    import torch

    try:
        import h5py
    except ImportError:
        raise SepbenchError(
            "reading MiXiN's models needs h5py: pip install 'sepbench[mixin]'"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            found = list(_in_order(file))
            if [_order(dataset.shape) for dataset in found] != list(wanted.values()):
                raise ValueError("its layers have other shapes")
            arrays = [_array(dataset, file) for dataset in found]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        # Messages of h5py mean nothing to users.
        is_ours = type(error) is ValueError
        reason = " ".join(str(error).split()) if is_ours else "damaged, or another kind of file"
        raise SepbenchError(
            f"{path}: not a Keras model of MiXiN's eight convolutions ({reason}); get it again"
        ) from None

    tensors = [torch.from_numpy(array).permute(_order(range(array.ndim))) for array in arrays]
    return dict(zip(wanted, tensors, strict=True))


def _in_order(file: Any) -> Iterator[Any]:
    """Yield the kernel and the bias of each layer that has any, in the order of the layers."""
    group = file.get("model_weights", file)
    if "layer_names" in group.attrs:
        layers = [group[name] for name in _names(group, "layer_names")]
        tensors = [[layer[name] for name in _names(layer, "weight_names")] for layer in layers]
    else:  # weights of Keras 3, which numbers layers from the second on
        layers = sorted(group["layers"].items(), key=lambda layer: _number(layer[0]))
        tensors = [list(layer["vars"].values()) for _, layer in layers if "vars" in layer]
    for own in filter(None, tensors):
        yield from sorted(own, key=lambda dataset: -dataset.ndim)


def _array(dataset: Any, file: Any) -> NDArray[np.float32]:
    """Return the content of a dataset, unless it is external or virtual."""
    outside = dataset.external or dataset.is_virtual or dataset.file.filename != file.filename
    if outside or dataset.dtype.kind != "f":
        raise ValueError(f"{dataset.name} has no data of its own")
    array = np.asarray(dataset[()], np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{dataset.name} has NaN or infinity")
    return array


def _order(axes: Sequence[int]) -> tuple[int, ...]:
    """Permute Keras' height, width, in, out to out, in, height, width."""
    return (*axes[:1:-1], *axes[:2]) if len(axes) == 4 else tuple(axes)


def _number(layer: str) -> int:
    """Return the number at the end of a name such as ``conv2d_3``, 0 if there is none."""
    return int((re.search(r"_(\d+)$", layer) or [0, 0])[1])


def _names(group: Any, attribute: str) -> list[str]:
    return [
        name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[attribute]
    ]
