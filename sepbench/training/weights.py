"""Weights on disk: safetensors with a header that says what they are and where they come from."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench.errors import SepbenchError
from sepbench.fetching import sha256 as sha256
from sepbench.whole import make_folder

if TYPE_CHECKING:
    import torch

_KEY = "sepbench"
_LONGEST_HEADER = 2**24


def digest(config: Mapping[str, Any]) -> str:
    """Return the sha256 of a config, whatever the order of its keys."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_header(path: Path) -> dict[str, Any]:
    """Return what a weight file says about itself, without reading its tensors.

    It has ``method``, ``model``, ``config``, ``config_sha256``, ``steps``, ``validation``,
    ``trained_on`` and ``licence``. Raises `SepbenchError` where the file is missing, damaged or not
    ours. Needs neither torch nor safetensors.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > _LONGEST_HEADER:
                raise ValueError("its header is too long")
            table = json.loads(file.read(length))
            header: dict[str, Any] = json.loads(table["__metadata__"][_KEY])
            end = max(entry["data_offsets"][1] for name, entry in table.items() if name[0] != "_")
            if path.stat().st_size != 8 + length + end:
                raise ValueError("it is cut short or too long")
    except FileNotFoundError:
        raise SepbenchError(f"{path}: no such weight file") from None
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise SepbenchError(
            f"{path}: not a weight file of sepbench, or damaged ({error})"
        ) from None
    return header


def save(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    header: Mapping[str, Any],
    *,
    half: bool = True,
) -> None:
    """Write tensors with their header; those in floating point in float16, unless not ``half``."""
    import torch
    from safetensors.torch import save_file

    kept = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in tensors.items()
    }
    overflown = [name for name, tensor in kept.items() if not torch.isfinite(tensor).all()]
    if overflown:
        raise SepbenchError(f"{path}: {overflown[0]} does not fit float16")
    make_folder(path.parent)
    save_file(kept, path, metadata={_KEY: json.dumps(header, sort_keys=True)})


def load_into(network: torch.nn.Module, path: Path) -> None:
    """Give a network the weights of a file; raise `SepbenchError` where they do not fit.

    Of a file with more parts than the network has, only the tensors of these parts are read.
    """
    from safetensors import SafetensorError, safe_open

    wanted = {name.split(".")[0] for name in network.state_dict()}
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.split(".")[0] in wanted]  # noqa: SIM118
            network.load_state_dict({name: file.get_tensor(name) for name in names})
    except SafetensorError as error:
        raise SepbenchError(f"{path}: damaged weight file ({error})") from None
    except RuntimeError:
        raise SepbenchError(
            f"{path}: its tensors do not fit the network its header names"
        ) from None
