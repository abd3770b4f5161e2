"""Validation: SDR of a network's stems on passages, and its loss on examples as in training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from sepbench.errors import SepbenchError
from sepbench.training.curves import is_score
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.examples import Examples
from sepbench.training.mix_config import MixConfig
from sepbench.training.model import Trainable
from sepbench.training.passages import Passage, passages
from sepbench.training.stem_examples import examples_of
from sepbench.training.training_config import TrainingConfig

_AUDIBLE = 1e-4
"""Smallest share of a song's energy for a stem to be scored."""

_SECONDS, _FEWEST, _MOST = 240.0, 32, 2048
"""Length of the examples that a loss is the mean of, and bounds of their number."""

_SEED = 1 << 32
"""Added to the seed of training, so that no example of an epoch is one of these."""


@dataclass(frozen=True)
class ValidationResult:
    """The scores and losses of a network on songs of a split.

    Args:
        scores: mean SDR in dB by source and stem, or the model's own scores, and their ``mean``.
        losses: the mean ``loss``, and ``loss NAME`` of each of several networks.
        constant: names of networks whose output is the same for all examples.
    """

    scores: dict[str, float]
    losses: dict[str, float]
    constant: tuple[str, ...] = ()

    @property
    def entries(self) -> dict[str, float]:
        """The entries of a run's history."""
        losses = {f"validation {name}": value for name, value in self.losses.items()}
        return {**losses, **self.scores}

    def criterion(self, best: str) -> float:
        """Return the number that the best epoch has highest: the mean SDR, or the negative loss."""
        return self.scores["mean"] if best == "sdr" else -self.losses["loss"]


@dataclass(frozen=True)
class Songs:
    """Songs of one split, for validation or test.

    Args:
        passages: passages that are separated and scored; may be empty.
        examples: mixtures as in training, for the loss; None if the split lacks a part of them.
    """

    passages: list[Passage]
    examples: Examples | None = None

    def has_scores(self) -> bool:
        """Return whether a stem of a song is loud enough to have an SDR."""
        songs: dict[tuple[str, str, str], _Energies] = {}
        for passage in self.passages:
            mixture = torch.stack(list(passage.stems.values())).sum(0)
            for name, stem in passage.stems.items():
                if name != "accompaniment":
                    song = songs.setdefault((passage.source, passage.song, name), _Energies())
                    song.add(stem, stem, mixture)
        return any(song.is_audible for song in songs.values())

    def loudest(self, count: int) -> list[Passage]:
        """Return the ``count`` passages with the loudest voices, to make pictures of."""

        def energy(passage: Passage) -> float:
            return float(passage.stems["vocals"].square().sum())

        return sorted(self.passages, key=energy, reverse=True)[:count]

    def validate(
        self, trainable: Trainable, network: nn.Module, device: torch.device, *, batch_size: int = 8
    ) -> ValidationResult:
        """Return scores and losses of a network; its mode is restored."""
        scores = passage_scores(trainable, network, self.passages, device=device)
        if self.examples is None:
            return ValidationResult(scores, {"loss": float("nan")})
        losses, constant = example_losses(
            trainable, network, self.examples, batch_size=batch_size, device=device
        )
        return ValidationResult(scores, losses, constant)


def songs_of(
    dataset: PreparedDataset,
    subset: str,
    mixing: MixConfig,
    *,
    trainable: Trainable,
    settings: TrainingConfig,
    songs: int | None = None,
) -> Songs:
    """Return the songs of a split for validation or test.

    ``songs`` limits the number of songs per source. Raises `SepbenchError` if the split has no
    song, or a source the name of another entry of a run's history.
    """
    sources = {track.source for track in dataset.tracks}
    if taken := sorted(name for name in sources if name == "mean" or not is_score(name)):
        raise SepbenchError(
            f"songs in a folder called {taken[0]!r}: a run's history has another entry of that "
            "name; rename the folder"
        )
    stems = trainable.stems
    chosen = passages(dataset, stems=stems, split=subset, each=settings.passages, songs=songs)
    count = int(np.clip(_SECONDS / mixing.seconds, _FEWEST, min(_MOST, settings.examples)))
    try:
        made = examples_of(
            stems, dataset.split(subset), mixing, seed=settings.seed + _SEED, count=count
        )
    except SepbenchError:  # A split may have voices but no drums, for example.
        made = None
    return Songs(chosen, made)


def passage_scores(
    trainable: Trainable, network: nn.Module, chosen: list[Passage], *, device: torch.device
) -> dict[str, float]:
    """Return the mean SDR in dB by source and, where there are several, stem; and their ``mean``.

    The SDR of a song is that of the protocol ``mdx`` over all its passages: the energies of stem
    and error are summed, and 1e-7 is added to both. A model without stems has its own scores,
    `Trainable.scores`. Without any score the mean is NaN.
    """
    was_training = network.training
    network.eval()
    scores: dict[str, list[float]] = {}
    songs: dict[tuple[str, str], _Energies] = {}
    with torch.inference_mode():
        for passage in chosen:
            truths = {name: stem.to(device) for name, stem in passage.stems.items()}
            mixture = torch.stack(list(truths.values())).sum(0)
            for name, value in trainable.scores(network, truths).items():
                scores.setdefault(f"{passage.source} {name}", []).append(value)
            estimates = trainable.estimates(network, mixture[None])
            for name in estimates.keys() & truths.keys():
                key = passage.source if len(estimates) == 1 else f"{passage.source} {name}"
                song = songs.setdefault((key, passage.song), _Energies())
                song.add(truths[name], estimates[name][0], mixture)
    for (key, _), song in sorted(songs.items()):
        if song.is_audible:
            scores.setdefault(key, []).append(song.sdr)
    network.train(was_training)
    means = {key: float(np.mean(values)) for key, values in scores.items()}
    return {**means, "mean": float(np.mean(list(means.values()))) if means else float("nan")}


@dataclass
class _Energies:
    """Energies of a stem, of the error of its estimate, and of the mixture, over passages."""

    truth: float = 0.0
    error: float = 0.0
    mixture: float = 0.0

    def add(self, truth: torch.Tensor, estimate: torch.Tensor, mixture: torch.Tensor) -> None:
        """Add a passage, each tensor ``(samples,)``."""
        self.truth += float(truth.square().sum())
        self.error += float((estimate - truth).square().sum())
        self.mixture += float(mixture.square().sum())

    @property
    def is_audible(self) -> bool:
        """Whether the stem is loud enough to be scored."""
        return self.truth > _AUDIBLE * self.mixture

    @property
    def sdr(self) -> float:
        """The signal-to-distortion ratio in dB."""
        return 10 * math.log10((self.truth + 1e-7) / (self.error + 1e-7))


def example_losses(
    trainable: Trainable,
    network: nn.Module,
    examples: Examples,
    *,
    batch_size: int,
    device: torch.device,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the mean losses on examples, and the names of networks with constant output.

    Where a model has several networks, ``loss NAME`` is that of each (`Trainable.losses`).
    """
    was_training = network.training
    network.eval()
    found: dict[str, list[tuple[float, float]]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    with torch.inference_mode():
        own = torch.Generator()  # Others keep their random numbers.
        for batch in DataLoader(examples, batch_size=batch_size, generator=own):
            stems = {name: stem.to(device) for name, stem in batch.items()}
            output = network(trainable.features(trainable.mixture(stems))).float()
            targets = trainable.targets(stems)
            losses = {"loss": trainable.loss(output, targets), **trainable.losses(output, targets)}
            counts = trainable.counts(targets)
            for name, value in losses.items():
                count = counts.get(name, len(stems["vocals"]))
                key = name if name == "loss" else f"loss {name}"
                found.setdefault(key, []).append((float(value), count))
            for name, part in trainable.outputs(output).items():
                low, high = ranges.get(name, (float("inf"), float("-inf")))
                ranges[name] = (min(low, float(part.min())), max(high, float(part.max())))
    network.train(was_training)
    means = {}
    for name, pairs in found.items():
        values, sizes = zip(*pairs, strict=True)
        means[name] = float(np.average(values, weights=sizes))
    return means, tuple(name for name, (low, high) in ranges.items() if low == high)
