"""Distances of embeddings, for metrics with a network of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from sepbench.errors import SepbenchError
from sepbench.metrics.metric import Estimates, SetMetric, Song

if TYPE_CHECKING:
    import torch


class EmbeddingDistance(SetMetric):
    """Compares embeddings of references and estimates, frame by frame and as distributions.

    ``MSE`` is the mean squared distance of frames at the same time (Bereuter et al. 2025), ``FAD``
    the Fréchet distance of two Gaussians fitted to the frames (Kilgour et al. 2019).
    """

    totals = ("MSE", "FAD")
    groups = ("perceptual",)
    by_stem = True
    higher_is_better = False
    silence = "depends on the network"

    @abstractmethod
    def embed(self, signal: torch.Tensor, rate: int) -> torch.Tensor:
        """Return the embedding ``(frames, dimensions)`` of a signal ``(channels, samples)``."""

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return both distances of each stem, ``(stems,)``."""
        import torch

        pairs = []
        for stem, reference in song.references.items():
            true = song.once((self.label, stem), partial(self._frames, reference, song.rate))
            made = self._frames(estimates.stems[stem], song.rate)
            pairs.append((squared_distance(true, made), frechet_distance(true, made)))
        both = torch.tensor(pairs, dtype=torch.float64)
        return {"MSE": both[:, 0], "FAD": both[:, 1]}

    def _frames(self, signal: torch.Tensor, rate: int) -> torch.Tensor:
        import torch

        with torch.no_grad():
            frames = self.embed(signal, rate)
        if frames.ndim != 2 or not frames.numel():
            raise SepbenchError(f"embed returned {tuple(frames.shape)}, not (frames, dimensions)")
        return frames.double().cpu()


def squared_distance(true: torch.Tensor, made: torch.Tensor) -> float:
    """Return the mean squared distance of two embeddings ``(frames, dimensions)``."""
    return float((true - made).square().mean())


def frechet_distance(true: torch.Tensor, made: torch.Tensor) -> float:
    """Return the Fréchet distance of the Gaussians with the frames' means and covariances.

    ``|a - b|^2 + tr(A + B - 2 (A B)^(1/2))`` (Dowson and Landau 1982); NaN of a single frame.

    Shape:
        true, made: float64 ``(frames, dimensions)``.
    """
    import torch

    if min(len(true), len(made)) < 2:
        return float("nan")
    first, second = torch.cov(true.mT, correction=1), torch.cov(made.mT, correction=1)
    first, second = first.reshape(true.shape[1], -1), second.reshape(true.shape[1], -1)
    apart = (true.mean(0) - made.mean(0)).square().sum()
    # The trace of the root is the sum of the roots of the eigenvalues of A B, which are real.
    eigenvalues = torch.linalg.eigvals(first @ second).real.clamp(min=0)
    return float(apart + first.trace() + second.trace() - 2 * eigenvalues.sqrt().sum())
