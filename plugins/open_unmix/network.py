"""The network of Open-Unmix in three steps; the second needs the whole song."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from sepbench.errors import SepbenchError

_NOT_OURS = {"stft.window", "transform.0.window", "sample_rate"}
"""Tensors of a transform that was part of the network in older files."""


class StemNetwork(nn.Module):
    """Three bidirectional recurrent layers between dense ones, for the magnitudes of one stem.

    Its input has the lowest ``seen`` of ``bins``; its output has all (Stöter et al. 2019).

    Shape:
        `encode`: magnitudes ``(channels, bins, frames)`` to features ``(frames, hidden)``.
        `follow`: features of the whole song to features ``(frames, 2 hidden)``.
        `decode`: features of any segment to gains ``(channels, bins, frames)``.
    """

    def __init__(self, *, bins: int, seen: int, channels: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.bins, self.seen, self.channels = bins, seen, channels
        self.input_mean, self.input_scale = _each(seen), _each(seen)
        self.output_mean, self.output_scale = _each(bins), _each(bins)
        self.fc1 = nn.Linear(channels * seen, hidden, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden)
        self.lstm = nn.LSTM(hidden, hidden // 2, layers, bidirectional=True)
        self.fc2 = nn.Linear(2 * hidden, hidden, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden)
        self.fc3 = nn.Linear(hidden, channels * bins, bias=False)
        self.bn3 = nn.BatchNorm1d(channels * bins)

    def encode(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Encode the bins of each frame as features."""
        inputs = magnitudes.permute(2, 0, 1)[..., : self.seen]
        inputs = (inputs + self.input_mean) * self.input_scale
        return torch.tanh(self.bn1(self.fc1(inputs.flatten(1))))

    def follow(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the recurrent layers over the song, in both directions."""
        followed, _ = self.lstm(features[:, None])
        return torch.cat([features, followed[:, 0]], dim=-1)

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Return the gain of each bin, not negative."""
        hidden = torch.relu(self.bn2(self.fc2(features)))
        gains = self.bn3(self.fc3(hidden)).view(-1, self.channels, self.bins)
        return torch.relu(gains * self.output_scale + self.output_mean).permute(1, 2, 0)


def read_network(path: Path) -> StemNetwork:
    """Return the network of a published file, with sizes from its tensors.

    Raises `SepbenchError` if the file has anything but the tensors of such a network.
    """
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        seen, hidden = len(tensors["input_mean"]), len(tensors["fc1.weight"])
        with torch.random.fork_rng(devices=[]):
            network = StemNetwork(
                bins=len(tensors["output_mean"]),
                seen=seen,
                channels=tensors["fc1.weight"].shape[1] // seen,
                hidden=hidden,
                layers=sum(name.startswith("lstm.weight_hh") for name in tensors) // 2,
            )
        network.load_state_dict({k: v for k, v in tensors.items() if k not in _NOT_OURS})
    except Exception:  # torch raises many types
        raise SepbenchError(f"{path}: not the weights of a network of Open-Unmix") from None
    return network.eval()


def _each(count: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(count), requires_grad=False)
