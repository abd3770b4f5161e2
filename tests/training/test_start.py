from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sepbench.training.data.prepare import prepare
from sepbench.training.data.recording import Recording
from sepbench.training.diagnosis import parts_without_gradient
from sepbench.training.epoch import Epoch
from sepbench.training.loop import Run
from sepbench.training.mix_config import MixConfig
from sepbench.training.start import initialise
from sepbench.training.stem_examples import examples_of
from sepbench.training.training_config import TrainingConfig
from sepbench.training.validate import songs_of
from sepbench_plugins.cdae.model import STEMS, CdaeTrainable

PUBLISHED = {
    "architecture": "published", "rate": 8000, "bands": 96, "samples": 8192, "overlap": 0,
    "objective": "magnitude",
}  # fmt: skip


def count_without_gradient(start: str, seeds: int) -> int:
    """Count networks whose output, and so whose gradient, is zero from the start."""
    count = 0
    for seed in range(seeds):
        torch.manual_seed(seed)
        trainable = CdaeTrainable(PUBLISHED)
        network = trainable.network()
        initialise(network, start)
        features = trainable.features(0.1 * torch.randn(1, 8192))
        network(features).sum().backward()
        count += len(parts_without_gradient(network))
    return count


def test_published_autoencoders_learn_from_keras_weights_and_often_not_from_torchs() -> None:
    assert count_without_gradient("keras", 6) == 0
    assert count_without_gradient("torch", 6) > 0


def test_keras_start_is_glorot_uniform_with_zero_bias() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, (12, 3))
    initialise(layer, "keras")
    limit = (6 / (8 * 36 + 16 * 36)) ** 0.5
    assert layer.bias is not None
    assert not layer.bias.any()
    assert layer.weight.abs().max() <= limit
    assert float(layer.weight.detach().std()) == pytest.approx(limit / 3**0.5, rel=0.05)


def test_a_part_does_not_learn_only_if_all_its_gradients_are_zero() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].bias.fill_(-1.0)
    network(torch.ones(3, 2)).sum().backward()
    assert parts_without_gradient(network) == ["0"]
    network.zero_grad()
    assert parts_without_gradient(network) == ["network"]


RATE = 8000
TIME = np.arange(3 * RATE, dtype=np.float32) / RATE
SONG = {
    "vocals": 0.3 * np.sin(2764 * TIME),
    "drums": 0.1 * np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32),
    "other": 0.3 * np.sin(1257 * TIME),
}


@pytest.mark.parametrize(("start", "is_constant"), [("torch", True), ("keras", False)])
def test_networks_with_constant_output_are_reported_after_an_epoch(
    start: str, is_constant: bool, tmp_path: Path
) -> None:
    tracks = [
        Recording("s", name, tuple(SONG), lambda rate: {k: [v] for k, v in SONG.items()}, split)
        for name, split in (("a", "train"), ("b", "valid"))
    ]
    dataset, _ = prepare(tracks, tmp_path / "data", rate=RATE)
    mixing = MixConfig(mixtures="songs", seconds=1.024, no_voice=0)
    settings = TrainingConfig(
        epochs=1, examples=2, batch_size=2, workers=0, start=start, average=0.0, best="loss"
    )
    trainable = CdaeTrainable(PUBLISHED)
    training = examples_of(STEMS, dataset.split("train"), mixing, seed=0, count=2)
    seen: list[Epoch] = []
    run = Run(trainable, settings, tmp_path / "run", torch.device("cpu"))
    songs = songs_of(dataset, "valid", mixing, trainable=trainable, settings=settings)
    run.train(training, songs, on_epoch=seen.append)
    assert bool(seen[0].not_learning) == is_constant
    assert set(seen[0].not_learning) <= set(STEMS)
    for name in STEMS:
        assert {f"loss {name}", f"validation loss {name}"} <= run.history[0].keys()
    if is_constant:
        reasons = set(seen[0].not_learning.values())
        assert reasons == {"its output is the same for all songs"}
        # The loss of a network that gives nothing is the mean of what it should have given.
        name = next(iter(seen[0].not_learning))
        stems = {key: songs.examples[0][key][None] for key in (*STEMS, "known")}
        targets = trainable.targets(stems)
        silent = trainable.losses(torch.zeros_like(targets["stem"]), targets)
        missing = float(targets["stem"][:, STEMS.index(name)].mean())
        assert float(silent[name]) == pytest.approx(missing)
