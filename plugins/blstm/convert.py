"""Converts between checkpoints of nussl and weight files."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sepbench.errors import SepbenchError
from sepbench.training.learned import trained_level
from sepbench.weights import container
from sepbench.weights.safe_unpickle import Foreign, read_checkpoint

from .layout import nussl_config, nussl_name, our_parts

_NUSSL = "1.1.9"

_PROVENANCE = ("trained_on", "songs", "sounds", "license")
"""Parts of the header that a checkpoint keeps for the way back, with the level."""


class NusslExchange:
    """Mask inference checkpoints of nussl 1.1.9."""

    summary = "nussl's mask inference networks (best.model.pth), for the method blstm"

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        """Write the tensors of a checkpoint to the weight file ``out``; return its header.

        No code in the checkpoint is run. Raises `SepbenchError` if it is not a mask inference
        network of nussl.
        """
        import torch

        content = read_checkpoint(source)
        try:
            metadata = _mapping(content.get("metadata"))
            config = content.get("config") or metadata["config"]
            arguments, tensors = our_parts(
                json.loads(config) if isinstance(config, str) else config, content["state_dict"]
            )
            model = {
                "objective": "magnitude",
                **_transform(metadata, int(arguments["num_features"])),
                **arguments,
            }
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            lacking = isinstance(error, KeyError)
            reason = f"it has no {error}" if lacking else "its parts are of the wrong kind"
            reason = str(error) if type(error) is ValueError else reason
            raise SepbenchError(
                f"{source}: not a mask inference network of nussl ({reason}); "
                "give a file written by its SeparationModel.save"
            ) from None
        trained = _mapping(metadata.get("trainer.state_dict"))
        epochs = _count(trained.get("epoch"))
        header = container.imported(
            "blstm",
            model,
            files=source.name,
            license="as the checkpoint's",
            epochs=epochs,
            steps=epochs * _count(trained.get("epoch_length")),
        )
        header |= _provenance(metadata)
        found = {name: torch.from_numpy(np.array(tensor)) for name, tensor in tensors.items()}
        _check(source, model, found)
        container.save(out, found, header, half=False)
        return header

    def write(self, source: Path, out: Path) -> None:
        """Write a weight file as a checkpoint that ``nussl.ml.SeparationModel.load`` reads.

        It consists of nussl's own modules; no class has to be registered first.
        """
        import torch

        from .model import BLSTMTrainable

        header = container.read_header(source)
        if header.get("method") != "blstm":
            raise SepbenchError(
                f"{source}: weights of {header.get('method')}; nussl's format is for blstm"
            )
        model = BLSTMTrainable(header["model"])
        config = nussl_config(model.arguments)
        network = model.network()
        container.load_into(network, source)
        state = {nussl_name(name): tensor for name, tensor in network.state_dict().items()}
        metadata = {
            "config": config,
            "nussl_version": _NUSSL,
            "sample_rate": model.rate,
            "num_channels": model.channels,
            "sepbench": {
                "n_fft": model.stft.n_fft,
                "hop": model.stft.hop,
                "window": model.stft.window,
                "middle": model.middle,
                "objective": model.objective,
            },
            "provenance": json.dumps(
                {
                    **{key: header[key] for key in _PROVENANCE if key in header},
                    "level": trained_level(header),
                }
            ),
        }
        content = io.BytesIO()
        checkpoint = {"state_dict": state, "config": json.dumps(config), "metadata": metadata}
        torch.save(checkpoint, content)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(content.getbuffer())


def _transform(metadata: Mapping[str, Any], bins: int) -> dict[str, Any]:
    """Return rate and transform; missing values are those of the published network."""
    rate = int(metadata.get("sample_rate") or 44100)
    if "sepbench" in metadata:  # from `write`
        return {"rate": rate, **_mapping(metadata["sepbench"])}
    params = metadata.get("stft_params")
    said: tuple[Any, ...] = params.arguments if isinstance(params, Foreign) else ()
    length, hop, window = (*said, None, None, None)[:3]
    n_fft = int(length or 2 * (bins - 1))
    return {
        "rate": rate,
        "n_fft": n_fft,
        "hop": int(hop or n_fft // 4),
        "window": str(window or "sqrt_hann"),
    }


def _provenance(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `write` kept of a header; its values are checked when it is saved."""
    text = metadata.get("provenance")
    try:
        found = _mapping(json.loads(text)) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return {key: found[key] for key in (*_PROVENANCE, "level") if key in found}


def _count(value: object) -> int:
    """Return a number of training steps or epochs, 0 if it is not one that a header can hold."""
    return value if isinstance(value, int) and 0 <= value < 2**24 else 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _check(source: Path, model: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    import torch

    from .model import BLSTMTrainable

    try:
        with torch.device("meta"):  # the sizes are untrusted: allocate no memory
            network = BLSTMTrainable(model).network()
        network.load_state_dict(tensors, assign=True)
    except SepbenchError as error:
        raise SepbenchError(f"{source}: {error}") from None
    except (RuntimeError, TypeError, ValueError):
        raise SepbenchError(f"{source}: its tensors do not fit the network of its config") from None
