"""Validation: SDR of a network's stems on songs that it was not trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sepbench.errors import SepbenchError
from sepbench.stems import SUMS
from sepbench.training import augment
from sepbench.training.data.prepare import PreparedDataset, PreparedTrack
from sepbench.training.model import Trainable

_ACTIVE = 0.2
"""Smallest share of tenths of a second with voice in a passage that is scored."""

_AUDIBLE = 1e-4
"""Smallest share of a passage's energy for a stem to be scored."""


@dataclass(frozen=True)
class Passage:
    """Stems, each ``(samples,)``, that sum to a mixture, and the source they are from."""

    source: str
    stems: Mapping[str, torch.Tensor]


def passages(
    cache: PreparedDataset,
    *,
    seconds: float = 6.0,
    each: int = 24,
    seed: int = 0,
    stems: tuple[str, ...] = ("vocals", "accompaniment"),
    split: str = "valid",
    songs: int | None = None,
) -> list[Passage]:
    """Cut passages with voice out of the songs of a split, at most ``each`` from a source.

    Songs with single instruments are mixed with the voice at -3 dB over the rest, and their parts
    summed to ``stems``; those with one accompaniment are taken as they are. ``songs`` limits how
    many of a source are read.
    """
    samples = int(seconds * cache.rate)
    found: dict[str, list[Passage]] = {}
    read: Counter[str] = Counter()
    for track in cache.split(split).holding("vocals"):
        read[track.source] += len(track.parts) > 1
        if len(track.parts) == 1 or (songs is not None and read[track.source] > songs):
            continue
        found.setdefault(track.source, []).extend(_cut(track, samples, stems))
    chosen = []
    for source in sorted(found):
        order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(found[source]))
        chosen += [found[source][i] for i in sorted(order[:each])]
    if not chosen:
        raise SepbenchError(
            f"no songs of split {split!r} with vocals and what accompanies them; training needs "
            "two songs at least, of which one is kept to validate"
        )
    return chosen


def validate(
    trainable: Trainable, network: nn.Module, chosen: list[Passage], *, device: torch.device
) -> dict[str, float]:
    """Return the mean SDR in dB by source and, where there are several, stem; and their ``mean``.

    The SDR is that of the protocol ``mdx``: over the whole passage, 1e-7 added to both energies.
    A model whose outcome is no stem has scores of its own, `Trainable.scores`. Without any score
    the mean is NaN.
    """
    was_training = network.training
    network.eval()
    scores: dict[str, list[float]] = {}
    with torch.inference_mode():
        for passage in chosen:
            truths = {name: stem.to(device) for name, stem in passage.stems.items()}
            mixture = torch.stack(list(truths.values())).sum(0)
            audible = _AUDIBLE * float(mixture.square().sum())
            for name, value in trainable.scores(network, truths).items():
                scores.setdefault(f"{passage.source} {name}", []).append(value)
            estimates = trainable.estimates(network, mixture[None])
            for name, estimate in estimates.items():
                if name not in truths or truths[name].square().sum() < audible:
                    continue
                key = passage.source if len(estimates) == 1 else f"{passage.source} {name}"
                scores.setdefault(key, []).append(_sdr(truths[name], estimate[0]))
    network.train(was_training)
    means = {key: float(np.mean(values)) for key, values in scores.items()}
    return {**means, "mean": float(np.mean(list(means.values()))) if means else float("nan")}


def passage_losses(
    trainable: Trainable,
    network: nn.Module,
    chosen: list[Passage],
    *,
    samples: int,
    device: torch.device,
    each: int = 4,
) -> dict[str, float]:
    """Return the mean ``loss`` on pieces of passages, as long as training examples.

    Where a model has several networks, ``loss NAME`` is that of each (`Trainable.losses`). At most
    ``each`` pieces, evenly spread, are taken from a passage that has all stems. NaN without any.
    """
    was_training = network.training
    network.eval()
    found: dict[str, list[float]] = {}
    with torch.inference_mode():
        for passage in chosen:
            if set(passage.stems) != set(trainable.stems):
                continue  # Some instruments of its song are not known.
            stems = _pieces(passage, samples, each, device)
            stems["known"] = torch.ones(len(stems["vocals"]), len(trainable.stems), device=device)
            output = network(trainable.features(trainable.mixture(stems))).float()
            targets = trainable.targets(stems)
            found.setdefault("loss", []).append(float(trainable.loss(output, targets)))
            for name, value in trainable.losses(output, targets).items():
                found.setdefault(f"loss {name}", []).append(float(value))
    network.train(was_training)
    return {"loss": float("nan")} | {name: float(np.mean(v)) for name, v in found.items()}


def _pieces(
    passage: Passage, samples: int, each: int, device: torch.device
) -> dict[str, torch.Tensor]:
    """Cut a passage into a batch of at most ``each`` pieces; fill up one that is too short."""
    length = next(iter(passage.stems.values())).shape[-1]
    count = max(1, min(each, length // samples))
    starts = np.linspace(0, max(0, length - samples), count).astype(int)
    return {
        name: torch.stack(
            [
                functional.pad(piece, (0, samples - len(piece)))
                for piece in (stem[start : start + samples] for start in starts)
            ]
        ).to(device)
        for name, stem in passage.stems.items()
    }


def _sdr(truth: torch.Tensor, estimate: torch.Tensor) -> float:
    error = (estimate - truth).square().sum()
    return 10 * float(torch.log10((truth.square().sum() + 1e-7) / (error + 1e-7)))


def _cut(track: PreparedTrack, samples: int, stems: tuple[str, ...]) -> Iterator[Passage]:
    whole = {
        stem: np.sum([track.read(part, 0, track.samples) for part in parts], axis=0)
        for stem, parts in _sums(track, stems).items()
    }
    voice = whole["vocals"]
    loud = augment.active_rms(voice)
    if "accompaniment" not in track.parts and loud > 0:
        rest = np.sum([stem for name, stem in whole.items() if name != "vocals"], axis=0)
        voice *= np.float32(0.7 * augment.active_rms(rest) / loud)
        loud = augment.active_rms(voice)
    samples = min(samples, track.samples)
    for start in range(0, track.samples - samples + 1, samples):
        passage = {name: stem[start : start + samples].copy() for name, stem in whole.items()}
        tenths = np.square(passage["vocals"][: samples // 1600 * 1600].reshape(-1, 1600)).mean(1)
        if tenths.size and (tenths > 0.01 * loud**2).mean() >= _ACTIVE:
            yield Passage(
                track.source, {name: torch.from_numpy(stem) for name, stem in passage.items()}
            )


def _sums(track: PreparedTrack, stems: tuple[str, ...]) -> dict[str, list[str]]:
    """Return which parts of a track make each stem."""
    if "accompaniment" in track.parts:
        return {"vocals": ["vocals"], "accompaniment": ["accompaniment"]}
    own = {
        stem: [part for part in (stem, *SUMS.get(stem, ())) if part in track.parts]
        for stem in stems
    }
    return {stem: parts for stem, parts in own.items() if parts}
