"""Weight files: safetensors with a header of metadata and provenance."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, BinaryIO

from sepbench._util.files import sha256 as sha256
from sepbench._util.files import write_atomic
from sepbench._util.plain import is_list_of, is_number, is_whole
from sepbench.errors import SepbenchError

if TYPE_CHECKING:
    import torch

_KEY = "sepbench"
_DIGEST = "sha256"
_BLANK = "0" * 64
_LONGEST_HEADER = 2**24
_LONGEST_CONTEXT = 3600.0
_LOWEST_LEVEL = -120.0
_CHUNK = 2**18
_CURE = "get it again, or make it by 'sepbench train' or 'sepbench weights import'"


def digest(config: Mapping[str, Any]) -> str:
    """Return the sha256 of a config, independent of the order of its keys."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def imported(
    method: str,
    model: Mapping[str, Any],
    *,
    files: str,
    license: str,
    context: float | None = None,
    level: float | None = None,
    trained_on: str = "unknown",
    epochs: int = 0,
    steps: int = 0,
) -> dict[str, Any]:
    """Return the header for weights that another program trained, read from ``files``.

    ``level`` is that of the songs they expect in dB of full scale, None for any.
    """
    return {
        "method": method,
        "model": model,
        "context": context,
        "level": level,
        "config": {},
        "config_sha256": digest({}),
        "trained_on": [trained_on],
        "license": license,
        "notes": f"read from {files}",
        "epochs": epochs,
        "steps": steps,
        "validation": {},
    }


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a weight file, without reading its tensors.

    It has ``method``, ``model``, ``config``, ``config_sha256``, ``steps``, ``validation``,
    ``trained_on`` and ``license``. Raises `SepbenchError` if the file is missing, damaged or not
    sepbench's. Needs neither torch nor safetensors.
    """
    header = {key: value for key, value in _head(path)[1].items() if key != _DIGEST}
    if "licence" in header:  # Files written before 0.1.0 use this spelling.
        header["license"] = header.pop("licence")
    return header


def _head(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of a file before its tensors, and sepbench's header in them."""
    try:
        with path.open("rb") as file:
            return _parsed(file, path.stat().st_size)
    except FileNotFoundError:
        raise SepbenchError(f"{path}: no such weight file; {_CURE}") from None
    except IsADirectoryError:
        raise SepbenchError(f"{path}: a folder; give the weight file in it") from None
    except OSError as error:
        raise SepbenchError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise SepbenchError(f"{path}: {error}; {_CURE}") from None


def _parsed(file: BinaryIO, size: int) -> tuple[bytes, dict[str, Any]]:
    """Read and parse the part before the tensors; raise ``ValueError`` with the reason."""
    if size == 0:
        raise ValueError("an empty file, no weights")
    start = file.read(8)
    if len(start) < 8:
        raise ValueError("not a weight file of sepbench, or cut short")
    (length,) = struct.unpack("<Q", start)
    text = file.read(min(length, _LONGEST_HEADER))
    if not text.startswith(b"{"):
        raise ValueError("not a weight file: it is not safetensors")
    if len(text) < length:
        raise ValueError("weights cut short, or damaged")
    try:
        table = json.loads(text)
        metadata = table.get("__metadata__") or {}
        header = json.loads(metadata[_KEY]) if _KEY in metadata else None
        ends = [entry["data_offsets"][1] for name, entry in table.items() if name[0] != "_"]
        excess = size - 8 - length - max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise ValueError("damaged weights, or other than safetensors") from None
    if not isinstance(header, dict):
        raise ValueError("safetensors, but not a weight file of sepbench: its header is missing")
    if (found := fault(header)) is not None:
        raise ValueError(f"its header is not one of sepbench: {found}")
    if excess:
        raise ValueError("weights cut short" if excess < 0 else "more in it than weights")
    return start + text, header


_BOUNDS = {
    "rate": (1000, 768_000),
    "n_fft": (16, 1 << 17),
    "win": (16, 1 << 17),
    "hop": (1, 1 << 17),
    "samples": (1, 1 << 27),
    "steps": (0, 1 << 53),
}
"""Integers of a header and their ranges; others are at most a million."""


def check(path: Path, header: Mapping[str, Any]) -> None:
    """Raise `SepbenchError` for a header with a value out of range."""
    if found := fault(header):
        raise SepbenchError(f"{path}: {found}; {_CURE}")


def fault(header: Mapping[str, Any]) -> str | None:
    """Return which value of a header is wrong or out of range, or None."""
    model = header.get("model", {})
    if not isinstance(model, dict):
        return "model is not a table"
    for key, value in {"steps": header.get("steps", 0), **model}.items():
        least, most = _BOUNDS.get(key, (-(1 << 20), 1 << 20))
        if key in _BOUNDS and not is_whole(value):
            return f"{key} {str(value)[:40]!r} is not an integer"
        if is_number(value) and not least <= value <= most:  # NaN too.
            return f"{key} {str(value)[:40]} is not between {least} and {most}"
    if "hop" in model and "n_fft" in model and model["hop"] > model["n_fft"]:
        return f"hop {model['hop']} is longer than n_fft {model['n_fft']}"
    context = header.get("context")
    if context is not None and not (is_number(context) and 0 <= context <= _LONGEST_CONTEXT):
        return f"context {str(context)[:40]!r} is not a number of seconds"
    level = header.get("level")
    if level is not None and not (is_number(level) and _LOWEST_LEVEL <= level <= 0):
        return f"level {str(level)[:40]!r} is not a number of dB below full scale"
    if not is_list_of(str, header.get("trained_on", [])):
        return "trained_on is not a list of names"
    songs = header.get("songs", {})
    if not (isinstance(songs, dict) and all(map(is_number, songs.values()))):
        return "songs is not a table of seconds"
    if not is_list_of(str, header.get("sounds", [])):
        return "sounds is not a list of marks"
    if not isinstance(header.get("license", ""), (str, NoneType)):
        return "license is not a text"
    return None


def save(
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    header: Mapping[str, Any],
    *,
    half: bool = True,
) -> None:
    """Write tensors with a header; floating-point tensors in float16 if ``half``.

    The header contains the sha256 of the whole file, computed with zeros in its place, by which
    `load_into` detects damage. Raises `SepbenchError` for values beyond float16, for a header that
    `read_header` would refuse, and if the file cannot be written.
    """
    if found := fault(header):
        raise SepbenchError(f"{path}: not written, as it could not be read again: {found}")
    import torch
    from safetensors.torch import save as to_bytes

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
    text = json.dumps({**header, _DIGEST: _BLANK}, sort_keys=True)
    content = to_bytes(kept, metadata={_KEY: text})
    found = hashlib.sha256(content).hexdigest()
    write_atomic(path, content.replace(_BLANK.encode(), found.encode(), 1))


def load_into(network: torch.nn.Module, path: Path) -> None:
    """Load the weights of a file into a network.

    If the file has more parts than the network, only the network's are read. Raises `SepbenchError`
    if they do not fit, or the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    verify(path)
    wanted = {name.split(".")[0] for name in network.state_dict()}
    try:
        with safe_open(path, "pt") as file:
            names = [name for name in file.keys() if name.split(".")[0] in wanted]  # noqa: SIM118
            network.load_state_dict({name: file.get_tensor(name) for name in names})
    except SafetensorError:
        raise SepbenchError(f"{path}: damaged weights; {_CURE}") from None
    except RuntimeError:
        raise SepbenchError(
            f"{path}: its tensors do not fit the network its header names"
        ) from None


def verify(path: Path) -> None:
    """Raise `SepbenchError` if the hash in a file's header does not match."""
    head, header = _head(path)
    recorded = header.get(_DIGEST)
    if recorded is None:
        return
    found = hashlib.sha256(head.replace(str(recorded).encode(), _BLANK.encode(), 1))
    with path.open("rb") as file:
        file.seek(len(head))
        while piece := file.read(_CHUNK):
            found.update(piece)
    if found.hexdigest() != recorded:
        raise SepbenchError(f"{path}: damaged weights, which differ from their hash; {_CURE}")
