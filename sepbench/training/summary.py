"""The layers of a network as a table: shapes, parameters and multiplications."""

from __future__ import annotations

import re

import torch
import torchinfo
from torch import nn

from sepbench.errors import SepbenchError
from sepbench.training.model import Trainable


def layer_summary(
    trainable: Trainable, network: nn.Module, seconds: float, device: torch.device | None = None
) -> str:
    """Return a table of a network's layers for one example of ``seconds`` seconds.

    A layer that is used more than once in a pass is marked as recursive; its parameters are counted
    once. Raises `SepbenchError` if the network cannot take such an example.
    """
    device = device or torch.device("cpu")
    silence = torch.zeros(1, int(seconds * trainable.rate), device=device)
    with torch.random.fork_rng(devices=[]):
        try:
            found = torchinfo.summary(
                network,
                input_data=[trainable.features(silence)],
                depth=4,
                col_names=("kernel_size", "output_size", "num_params", "mult_adds"),
                row_settings=("var_names",),
                device=device,
                verbose=0,
            )
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error.__cause__ or error).split())
            raise SepbenchError(
                f"{trainable.method}: its network cannot take an example of {seconds:g} s: "
                f"{reason}; give longer 'seconds' in the config, or another model"
            ) from error
    head = f"{trainable.method}: one example of {seconds:g} s at {trainable.rate} Hz\n"
    # It writes "(Units.GIGABYTES)".
    table = re.sub(r"[(]Units[.]([A-Z])[A-Z]*[)]", r"(\1)", str(found))
    return f"{head}{table}\n"
