"""Detects singing in a song, with trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sepbench import audio
from sepbench.activity.model import ARCHITECTURES, ActivityModel
from sepbench.activity.reference import frame_count
from sepbench.activity.segments import Probabilities
from sepbench.activity.shipped import DEFAULT, SHA256
from sepbench.errors import SepbenchError
from sepbench.weights import container

_STRETCH = 120.0
"""Seconds processed at a time, without context."""


class VoiceDetector:
    """A trained detector of singing.

    Args:
        file: weights; the included ones if not given.
        device: where its network runs.

    Raises `SepbenchError` if the file is not a detector's.
    """

    def __init__(self, file: Path | None = None, device: torch.device | None = None) -> None:
        self.file = file or DEFAULT
        self.header = _header(self.file)
        if file is None and container.sha256(self.file) != SHA256:
            raise SepbenchError(f"{self.file}: damaged, its sha256 is not {SHA256}")
        self.device = device or torch.device("cpu")
        try:
            self.model = ActivityModel(self.header["model"])
            with torch.random.fork_rng(devices=[]):
                network = self.model.network()
        except (KeyError, TypeError, ValueError) as error:
            raise SepbenchError(
                f"{self.file}: does not describe a detector of singing: {error}; "
                "train one with 'sepbench train ibm-cnn --config activity'"
            ) from error
        container.load_into(network, self.file)
        self.network = network.to(self.device).eval()

    @property
    def context(self) -> float:
        """Context of a frame on each side, in seconds."""
        return self.model.context

    def probabilities(self, song: NDArray[np.float32], rate: int) -> Probabilities:
        """Return the probability of singing at each frame of 10 ms.

        Shape:
            song: ``(channels, samples)`` at ``rate`` Hz; channels are averaged.
            result: float32, ``(ceil(samples / (rate / 100)),)``.
        """
        frames = frame_count(song.shape[-1], rate)
        mono = song.mean(0, keepdims=True, dtype=np.float32)
        signal = torch.from_numpy(audio.resample(mono, rate, self.model.rate))
        hundredth = self.model.rate // 100
        around = int(-(-self.context // 0.01)) * hundredth
        step = int(_STRETCH * 100) * hundredth
        parts = []
        for start in range(0, signal.shape[-1], step):
            begin, end = max(0, start - around), min(signal.shape[-1], start + step + around)
            with torch.inference_mode():
                part = self.model.probabilities(self.network, signal[:, begin:end].to(self.device))[
                    0
                ]
            first = (start - begin) // hundredth
            parts.append(part[first : first + step // hundredth].cpu().numpy())
        found = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        # Resampling may give one frame more or less.
        return np.pad(found, (0, max(0, frames - len(found))), mode="edge")[:frames]


def _header(file: Path) -> dict[str, Any]:
    header = container.read_header(file)
    if header.get("model", {}).get("architecture") not in ARCHITECTURES:
        raise SepbenchError(
            f"{file}: weights of {header.get('method')}, not of a detector of singing; "
            "leave out --weights, or train one with 'sepbench train ibm-cnn --config activity'"
        )
    return header
