"""Builds BS-RoFormer and Mel-Band RoFormer by their own packages, and loads their tensors."""

from __future__ import annotations

import inspect
import warnings
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from sepbench.errors import SepbenchError
from sepbench.weights.card import check_keys

from .config import Config
from .packages import PACKAGES, conflict

_WITHOUT_EFFECT = (
    "linear_transformer_depth",
    "use_torch_checkpoint",
    "skip_connection",  # Without effect if false, as `build` demands.
    "sage_attention",
    "use_shared_bias",
    "mlp_expansion_factor",
    "num_residual_streams",
    "num_residual_fracs",
    "sample_rate",
    "match_input_audio_length",
)
"""Keys of configs that do not change the output, or that are implied by shapes of tensors."""

_TUPLES = ("freqs_per_bands", "multi_stft_resolutions_window_sizes")
_NAMES = ("state", "state_dict", "model_state_dict")
"""Keys under which checkpoints store the tensors."""

_MOST_NAMES = 3
_MORE = "not a checkpoint of tensors alone; save its state_dict in a file of its own"


def build(config: Config) -> torch.nn.Module:
    """Return the network of a config, without its tensors.

    Raises `SepbenchError` for a config that the package does not support.
    """
    if problem := conflict(config.kind):
        raise SepbenchError(problem)
    package = PACKAGES[config.kind]
    if config.model.get("skip_connection"):
        raise SepbenchError(
            f"{config.name}: model: skip_connection: {package.distribution} cannot add the outputs "
            "of earlier layers; run it by MSST itself: command[preset=msst,...]"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind = getattr(import_module(package.module), package.network)
    known = [*inspect.signature(kind.__init__).parameters][1:]
    check_keys(config.model, [*known, *_WITHOUT_EFFECT], f"{config.name}: model")
    values = {
        key: tuple(value) if key in _TUPLES else value
        for key, value in config.model.items()
        if key in known
    }
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: torch.nn.Module = kind(**values)
    except Exception as error:  # beartype's errors, assertions and those of torch have no base.
        reason = " ".join(str(error).split())
        raise SepbenchError(f"{config.name}: no network can be built of it: {reason}") from None
    return network.eval().requires_grad_(False)


def load(network: torch.nn.Module, path: Path, config: str) -> None:
    """Load the tensors of a checkpoint into a network.

    Raises `SepbenchError` for a file with anything but tensors, or tensors that do not match the
    config.
    """
    tensors = _tensors(path)
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in tensors]
    extra = [key for key in tensors if key not in wanted]
    shapes = [k for k, t in wanted.items() if k in tensors and tensors[k].shape != t.shape]
    problems = {"are missing": missing, "are too many": extra, "have other shapes": shapes}
    told = [
        f"{len(keys)} {words} ({', '.join(keys[:_MOST_NAMES])})"
        for words, keys in problems.items()
        if keys
    ]
    if told:
        raise SepbenchError(
            f"{path}: does not fit {config}: of {len(wanted)} keys {', '.join(told)}; "
            "give the config that came with it"
        )
    if broken := [key for key, tensor in tensors.items() if not tensor.isfinite().all()]:
        names = ", ".join(broken[:_MOST_NAMES])
        raise SepbenchError(
            f"{path}: {len(broken)} of {len(wanted)} tensors hold NaN or infinity ({names}); "
            "get the file again"
        )
    network.load_state_dict(tensors)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    content = _read(path)
    for name in _NAMES:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise SepbenchError(f"{path}: {_MORE}")
    if content and all(key.startswith("module.") for key in content):
        content = {key.removeprefix("module."): value for key, value in content.items()}
    return content


def _read(path: Path) -> Any:
    if not path.is_file():
        raise SepbenchError(f"{path}: no such checkpoint; give checkpoint=FILE")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, AttributeError) as error:
        if isinstance(error, UnpicklingError):
            raise SepbenchError(f"{path}: {_MORE}") from None
        raise SepbenchError(f"{path}: damaged, or not a checkpoint; get the file again") from None
    except Exception as error:  # safetensors' own class.
        reason = " ".join(str(error).split())
        raise SepbenchError(f"{path}: not a checkpoint: {reason}; get the file again") from None
