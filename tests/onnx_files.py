"""Networks exported to ONNX files."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn


def exported(
    network: nn.Module, example: torch.Tensor, path: Path, *, dynamic: bool = True
) -> None:
    """Write a network as ONNX."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example,),
            str(path),
            dynamo=False,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}} if dynamic else None,
        )


def seeded(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind().eval()
