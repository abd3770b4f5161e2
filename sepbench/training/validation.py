"""How good a network is by now: vocals SDR on songs it has never heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sepbench.errors import SepbenchError
from sepbench.training import treatment
from sepbench.training.cache import Cache, Prepared
from sepbench.training.trainable import Trainable

_ACTIVE = 0.2
"""A passage counts where the voice sounds in at least this share of its tenths of a second."""


@dataclass(frozen=True)
class Passage:
    """A voice and its backing, each ``(samples,)``, and the source they are from."""

    source: str
    vocals: torch.Tensor
    accompaniment: torch.Tensor


def passages(cache: Cache, *, seconds: float = 6.0, each: int = 24, seed: int = 0) -> list[Passage]:
    """Cut passages with voice out of the songs of split ``val``, at most ``each`` from a source.

    Songs with single instruments are mixed with the voice at -3 dB over the rest; those with one
    accompaniment as they are.
    """
    samples = int(seconds * cache.rate)
    found: dict[str, list[Passage]] = {}
    for track in cache.split("val").holding("vocals"):
        found.setdefault(track.source, []).extend(_cut(track, samples))
    chosen = []
    for source in sorted(found):
        order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(found[source]))
        chosen += [found[source][i] for i in sorted(order[:each])]
    if not chosen:
        raise SepbenchError("no songs of split 'val' with vocals; training needs some to validate")
    return chosen


def validate(
    trainable: Trainable, network: nn.Module, chosen: list[Passage], *, device: torch.device
) -> dict[str, float]:
    """Return the mean SDR of the voice in dB by source, and as ``mean`` that of the sources.

    The SDR is that of the protocol ``mdx``: over the whole passage, 1e-7 added to both energies.
    """
    was_training = network.training
    network.eval()
    scores: dict[str, list[float]] = {}
    with torch.inference_mode():
        for passage in chosen:
            truth = passage.vocals.to(device)
            mixture = truth + passage.accompaniment.to(device)
            error = trainable.vocals(network, mixture[None])[0] - truth
            ratio = (truth.square().sum() + 1e-7) / (error.square().sum() + 1e-7)
            scores.setdefault(passage.source, []).append(10 * float(torch.log10(ratio)))
    network.train(was_training)
    means = {source: float(np.mean(values)) for source, values in scores.items()}
    return {**means, "mean": float(np.mean(list(means.values())))}


def _cut(track: Prepared, samples: int) -> Iterator[Passage]:
    backing = [part for part in track.parts if part != "vocals"]
    whole = track.read("vocals", 0, track.samples)
    loud = treatment.active_rms(whole)
    rest = np.sum([track.read(part, 0, track.samples) for part in backing], axis=0)
    if backing != ["accompaniment"] and loud > 0:
        whole *= np.float32(0.7 * treatment.active_rms(rest) / loud)
        loud = treatment.active_rms(whole)
    samples = min(samples, track.samples)
    for start in range(0, track.samples - samples + 1, samples):
        vocals, others = whole[start : start + samples], rest[start : start + samples]
        tenths = np.square(vocals[: samples // 1600 * 1600].reshape(-1, 1600)).mean(1)
        if (tenths > 0.01 * loud**2).mean() >= _ACTIVE:
            yield Passage(
                track.source, torch.from_numpy(vocals.copy()), torch.from_numpy(others.copy())
            )
