"""Compare blstm with nussl's own run of a published checkpoint, on the built-in excerpt.

    python benchmarks/nussl_checkpoint.py best.model.pth

nussl unpickles the file, which executes code in it: use only files that you trust. Needs nussl
1.1.9. Prints the largest difference of the voice's samples for three cases: normalised as in
training, normalised by the song, and after ``sepbench weights export nussl``, loaded by nussl.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sepbench.datasets.excerpt import Excerpt
from sepbench_plugins.blstm import BLSTM
from sepbench_plugins.blstm.convert import NusslExchange
from sepbench_plugins.nussl_bridge import import_nussl


def main() -> None:
    """Print the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    checkpoint = parser.parse_args().checkpoint
    nussl = import_nussl.nussl()
    song = Excerpt().tracks()[0].load().mixture.astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        weights, exported = Path(folder) / "w.safetensors", Path(folder) / "w.pth"
        header = NusslExchange().read(checkpoint, weights)
        NusslExchange().write(weights, exported)
        for per_clip in (False, True):
            ours = run_ours(song, weights, per_clip=per_clip)
            with mock.patch.object(
                torch, "load", functools.partial(torch.load, weights_only=False)
            ):
                nussl.ml.register_module(published_class(nussl))
                theirs = run_theirs(nussl, song, checkpoint, header["model"], per_clip=per_clip)
            report("normalised by the song" if per_clip else "as trained", ours, theirs)
        report(
            "exported", run_ours(song, weights), run_theirs(nussl, song, exported, header["model"])
        )


def report(what: str, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
    """Print a line."""
    worst = np.abs(ours - theirs).max()
    print(f"{what:24} largest difference {worst:.1e}, highest sample {np.abs(theirs).max():.2f}")


def run_ours(song: NDArray[Any], weights: Path, *, per_clip: bool = False) -> NDArray[Any]:
    """Return the voice of sepbench's network."""
    separator = BLSTM(BLSTM.Options(weights=str(weights), per_clip_norm=per_clip))
    separator.load(torch.device("cpu"))
    with torch.inference_mode():
        return separator.separate(torch.from_numpy(song))["vocals"].numpy()


def run_theirs(
    nussl: ModuleType,
    song: NDArray[Any],
    checkpoint: Path,
    model: dict[str, Any],
    *,
    per_clip: bool = False,
) -> NDArray[Any]:
    """Return the voice of nussl's network, without dropout."""
    transforms = nussl.datasets.transforms
    signal = nussl.AudioSignal(audio_data_array=song, sample_rate=model["rate"])
    estimation = nussl.separation.deep.DeepMaskEstimation(signal, model_path=str(checkpoint))
    estimation.metadata["stft_params"] = nussl.STFTParams(
        model["n_fft"], model["hop"], model["window"]
    )
    estimation.transform = transforms.Compose(
        [transforms.MagnitudeSpectrumApproximation(), transforms.ToSeparationModel()]
    )
    for module in estimation.model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.train(per_clip)
    return estimation()[-1].audio_data


def published_class(nussl: ModuleType) -> type[nn.Module]:
    """Return the class that published checkpoints name: nussl's modules in sequence."""
    parts = nussl.ml.networks.modules

    class MaskInference(nn.Module):
        def __init__(
            self, num_features: int, num_audio_channels: int, hidden_size: int, num_layers: int,
            bidirectional: bool, dropout: float, num_sources: int, activation: str = "sigmoid",
        ) -> None:  # fmt: skip
            super().__init__()
            self.decibels = parts.AmplitudeToDB()
            self.input_normalization = parts.BatchNorm(num_features)
            self.recurrent_stack = parts.RecurrentStack(
                num_features * num_audio_channels, hidden_size, num_layers, bidirectional, dropout
            )
            self.embedding = parts.Embedding(
                num_features, hidden_size * (1 + bidirectional), num_sources, activation,
                num_audio_channels,
            )  # fmt: skip

        def forward(self, data: torch.Tensor) -> dict[str, torch.Tensor]:
            levels = self.input_normalization(self.decibels(data))
            mask = self.embedding(self.recurrent_stack(levels))
            return {"mask": mask, "estimates": data[..., None] * mask}

    return MaskInference


if __name__ == "__main__":
    main()
