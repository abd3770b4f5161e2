"""The weighted mean of weight files of one network.

Fine-tuned weights gain on new songs and lose a little on old ones; their mean with the initial
weights keeps most of both (Wortsman et al., Robust fine-tuning
of zero-shot models, CVPR 2022). The mean of several such runs is better than each (Wortsman et al.,
Model soups, ICML 2022).
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench._util.text import counted
from sepbench.errors import SepbenchError
from sepbench.weights import container, training_data

if TYPE_CHECKING:
    import torch


def average(
    files: Sequence[Path], shares: Sequence[float], out: Path, *, only: str = "*"
) -> dict[str, Any]:
    """Write the mean of ``files``, weighted by ``shares``, and return its header.

    Tensors whose names do not match the pattern ``only``, such as ``vocals.*``, are those of the
    first file. The header is that of the last file, with the training data of all and ``averaged``,
    which has sha256 and share of each. Validation scores are left out, as they are of other
    weights. Tensors are in float16 if those of some file are. Raises `SepbenchError` if the files
    are not of one network, or if no tensor matches.
    """
    if len(files) < 2:
        raise SepbenchError("one weight file: give two or more")
    if len(shares) != len(files):
        raise SepbenchError(
            f"{len(files)} weight files and {counted(len(shares), 'share')}: give one share a file"
        )
    if not (all(share >= 0 for share in shares) and 0 < sum(shares) < math.inf):
        raise SepbenchError(
            "shares of weight files are numbers from 0, not all of them 0, with a finite sum"
        )
    headers = [container.read_header(path) for path in files]
    for path, header in zip(files, headers, strict=True):
        if "method" not in header:
            raise SepbenchError(f"{path}: its header names no method; get it again")
        if any(header.get(key) != headers[0].get(key) for key in ("method", "model")):
            raise SepbenchError(f"{path}: not of the same network as {files[0]}")
    parts = [share / sum(shares) for share in shares]
    tensors = [_tensors(path) for path in files]
    for path, one in zip(files, tensors, strict=True):
        if _shapes(one) != _shapes(tensors[0]):
            raise SepbenchError(f"{path}: its tensors are not those of {files[0]}")
    chosen = fnmatch.filter(tensors[0], only)
    if not chosen:
        names = sorted({name.partition(".")[0] for name in tensors[0]})
        raise SepbenchError(f"{files[0]}: no tensor {only!r}; their names begin with {names}")
    mean = tensors[0] | _mean([{name: one[name] for name in chosen} for one in tensors], parts)
    header = {
        **headers[-1],
        **training_data.merged(*headers),
        "averaged": [
            {"sha256": container.sha256(path), "share": round(part, 4), "steps": one.get("steps")}
            for path, part, one in zip(files, parts, headers, strict=True)
        ],
    }
    if only != "*":
        header["averaged_tensors"] = only
    header.pop("validation", None)
    # Imported weights are in float32, some beyond the range of float16.
    container.save(out, mean, header, half=any(map(_is_half, tensors)))
    return header


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    container.verify(path)
    try:
        return load_file(path)
    except SafetensorError:  # A file without a hash may be damaged unnoticed until here.
        raise SepbenchError(f"{path}: damaged weights; get it again") from None


def _is_half(tensors: dict[str, torch.Tensor]) -> bool:
    """Return whether some tensors are of half precision, as those of trained weights are."""
    import torch

    return any(tensor.dtype == torch.float16 for tensor in tensors.values())


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _mean(
    files: Sequence[dict[str, torch.Tensor]], parts: Sequence[float]
) -> dict[str, torch.Tensor]:
    """Return the mean of each tensor; integer tensors are the last file's."""
    mean = {}
    for name, last in files[-1].items():
        if last.is_floating_point():
            terms = (
                part * tensors[name].float() for part, tensors in zip(parts, files, strict=True)
            )
            mean[name] = sum(terms, start=0 * last.float())
        else:
            mean[name] = last
    return mean
