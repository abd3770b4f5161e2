"""Initial weights for four stems, from weights for three."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sepbench.errors import SepbenchError
from sepbench.weights import container

from . import STEMS

_FROM = {"vocals": "vocals", "drums": "percussive", "bass": "harmonic", "other": "harmonic"}
"""The network of `cdae` whose weights each of the four stems starts from."""


class FourStemsExchange:
    """Weights of `cdae` for three stems, as initial weights for training four."""

    summary = "weights of cdae with three stems (.safetensors), to train four on from"
    trains_by = "four-stems"

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        """Write networks of four stems to ``out``; bass and other both begin as the harmonic one.

        Returns the header. Raises `SepbenchError` if the file is not a weight file of `cdae` with
        three stems.
        """
        from .model import CdaeTrainable

        header = container.read_header(source)
        model = header.get("model", {})
        if header.get("method") != "cdae" or tuple(model.get("stems", STEMS)) != STEMS:
            raise SepbenchError(
                f"{source}: not weights of cdae with the stems {', '.join(STEMS)}; give such a file"
            )
        network = CdaeTrainable(model).network()
        container.load_into(network, source)
        tensors = {
            f"{stem}.{name}": tensor.clone()
            for stem, known in _FROM.items()
            for name, tensor in network[known].state_dict().items()
        }
        header |= {"model": {**model, "stems": list(_FROM)}, "notes": f"read from {source.name}"}
        container.save(out, tensors, header, half=False)
        return header
