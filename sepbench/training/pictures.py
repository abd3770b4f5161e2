"""Pictures of passages: mixture, true stem, mask, estimate and error, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sepbench.dsp.stft import Stft
from sepbench.training.model import Trainable
from sepbench.training.passages import Passage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_RANGE = 70.0
"""dB from the loudest point of the mixture to the end of the colour scale."""

_SECONDS = 0.064
"""Length of a window, about."""

Magnitudes = NDArray[np.floating[Any]]


def draw_passage(
    trainable: Trainable, network: nn.Module, passage: Passage, device: torch.device
) -> Figure | None:
    """Draw a passage with a row for each estimated stem; return None if there is none.

    Columns are the mixture, the true stem, the mask (ratio of the magnitudes of estimate and
    mixture, clipped to 0..1), the estimate, and the error, the difference of estimate and true
    stem. Levels are in dB below the loudest point of the mixture.
    """
    from matplotlib.figure import Figure

    truths = {name: stem.to(device) for name, stem in passage.stems.items()}
    mixture = torch.stack(list(truths.values())).sum(0)
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        found = trainable.estimates(network, mixture[None])
    network.train(was_training)
    estimates = {name: stem[0] for name, stem in found.items() if name in truths}
    if not estimates:
        return None
    rate, seconds = trainable.rate, mixture.shape[-1] / trainable.rate
    whole = _magnitudes(mixture, rate)
    peak = max(float(whole.max()), 1e-9)
    figure = Figure(figsize=(16, 0.6 + 2.6 * len(estimates)), layout="constrained")
    panels = figure.subplots(len(estimates), 5, sharex=True, sharey=True, squeeze=False)
    extent = (0.0, seconds, 0.0, rate / 2000)
    for row, (name, estimate) in zip(panels, estimates.items(), strict=True):
        truth, made = _magnitudes(truths[name], rate), _magnitudes(estimate, rate)
        error = _magnitudes(estimate - truths[name], rate)
        mask = (made / np.maximum(whole, 1e-4 * peak)).clip(0, 1)
        columns: dict[str, Magnitudes] = {
            "mixture": whole, f"true {name}": truth, "mask": mask, "estimate": made, "error": error
        }  # fmt: skip
        for axes, (title, shown) in zip(row, columns.items(), strict=True):
            axes.set_title(title, fontsize="medium")
            is_mask = title == "mask"
            image = axes.imshow(
                shown if is_mask else 20 * np.log10(np.maximum(shown / peak, 1e-9)),
                extent=extent, origin="lower", aspect="auto", interpolation="nearest",
                cmap="viridis" if is_mask else "magma",
                vmin=0 if is_mask else -_RANGE, vmax=1 if is_mask else 0,
            )  # fmt: skip
            if title in ("mask", "error"):
                figure.colorbar(image, ax=axes, label="" if is_mask else "dB")
        row[0].set_ylabel("kHz")
    for axes in panels[-1]:
        axes.set_xlabel("seconds")
    return figure


def _magnitudes(signal: torch.Tensor, rate: int) -> Magnitudes:
    """Return the spectrogram of ``(samples,)`` as ``(bins, frames)``."""
    n_fft = int(2 ** np.round(np.log2(_SECONDS * rate)))
    spectrum = Stft(n_fft=n_fft, hop=n_fft // 4).forward(signal.float().cpu())
    magnitudes: Magnitudes = spectrum.abs().numpy()
    return magnitudes
