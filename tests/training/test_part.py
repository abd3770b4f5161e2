from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sepbench.errors import SepbenchError
from sepbench.training.batch_statistics import update_statistics
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.loop import Run

from .test_loop import CPU, SETTINGS, Tiny, examples, songs


class Two(nn.Module):
    """Two networks, each with statistics of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Sequential(nn.BatchNorm1d(65), nn.Conv1d(65, 65, 1)) for _ in range(2)
        )

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.first(magnitudes) + self.second(magnitudes))


class TwoNetworks(Tiny):
    def __init__(self, model: Mapping[str, Any] | None = None) -> None:
        super().__init__(model or {})

    def network(self) -> nn.Module:
        return Two()


def test_a_part_is_trained_and_the_rest_keeps_weights_and_statistics(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    run = Run(TwoNetworks(), replace(SETTINGS, only="first.*"), tmp_path, CPU)
    before = {name: value.clone() for name, value in run.network.state_dict().items()}
    run.train(examples(dataset), songs(dataset))
    update_statistics(run, examples(dataset), songs(dataset))
    for name, value in run.best_network().state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("second"), name


def test_a_part_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match=r"'voice\.\*'; names begin with first, second"):
        Run(TwoNetworks(), replace(SETTINGS, only="voice.*"), tmp_path, CPU)
