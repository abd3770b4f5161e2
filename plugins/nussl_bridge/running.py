"""Runs a separation object of nussl on a song."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch.nn import functional

from . import import_nussl

Build = Callable[[ModuleType, Any], Any]
"""Takes nussl and an ``AudioSignal``; returns a separation object."""


def estimates(
    build: Build,
    mixture: torch.Tensor,
    *,
    rate: int,
    frames: tuple[int, int, str],
    least: int,
    number: int,
) -> list[torch.Tensor]:
    """Return the ``number`` estimates of the object from ``build``, in nussl's order.

    ``frames`` are window length and hop in samples, and the window. nussl fails on songs shorter
    than a frame or a period, and on silence: songs shorter than ``least`` samples are padded and
    cut again, and silence gives silent stems.

    Shape:
        mixture: ``(channels, samples)``, and each estimate likewise.
    """
    if not mixture.any():
        return [torch.zeros_like(mixture) for _ in range(number)]
    samples = mixture.shape[-1]
    filled = functional.pad(mixture, (0, max(0, least - samples)))
    nussl = import_nussl.nussl()
    with import_nussl.undisturbed():
        signal = nussl.AudioSignal(
            audio_data_array=filled.cpu().numpy(),
            sample_rate=rate,
            stft_params=nussl.STFTParams(*frames),
        )
        made = build(nussl, signal)()
    return [torch.from_numpy(one.audio_data[:, :samples]).to(mixture) for one in made]
