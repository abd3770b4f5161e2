"""The mask inference network of nussl, with optional layers around its recurrent ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS = ("sigmoid", "tanh", "relu", "softmax", "gated_tanh", "unit_norm", "l1_norm")


class MaskInference(nn.Module):
    """Recurrent layers from decibels to masks, with the tensor names of nussl 1.1.9.

    Args:
        num_features: bins.
        num_audio_channels: channels that are processed together.
        hidden_size: cells of a recurrent layer in each direction.
        num_layers: recurrent layers.
        bidirectional: whether later frames are used too.
        dropout: share of outputs left out between recurrent layers in training.
        num_sources: masks to make.
        activation: activation of the masks, one or several of `ACTIVATIONS`.
        projection: width of a dense layer before the recurrent ones, with a skip connection;
            0: none, as nussl.
        head: width of a dense layer after them; 0: none, as nussl.
        floor: magnitudes below it count as this.

    Shape:
        input: magnitudes ``(batch, frames, bins, channels)``.
        output: masks ``(batch, frames, bins, channels, sources)``.
    """

    def __init__(
        self,
        num_features: int,
        num_audio_channels: int,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        dropout: float,
        num_sources: int,
        activation: str | Sequence[str] = "sigmoid",
        *,
        projection: int = 0,
        head: int = 0,
        floor: float = 1e-4,
    ) -> None:
        super().__init__()
        self.floor = floor
        self.input_normalization = _BatchNorm(num_features)
        width = num_features * num_audio_channels
        recurrent = hidden_size * (2 if bidirectional else 1)
        if projection:
            self.projection = _Dense(width, projection)
        self.recurrent_stack = _RecurrentStack(
            projection or width, hidden_size, num_layers, bidirectional, dropout
        )
        if head:
            self.head = _Dense(recurrent + projection, head)
        self.embedding = _Embedding(
            head or recurrent + projection,
            (num_features, num_audio_channels, num_sources),
            activation,
        )
        self._has_projection, self._has_head = bool(projection), bool(head)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the masks of ``magnitudes``."""
        # Squared first, as in nussl: bins that hardly vary in training amplify rounding errors.
        decibels = 10 * torch.log10(magnitudes.square().clamp_min(self.floor**2))
        x = self.input_normalization(decibels).flatten(2)
        if self._has_projection:
            projected = self.projection(x)
            x = torch.cat([projected, self.recurrent_stack(projected)], dim=-1)
        else:
            x = self.recurrent_stack(x)
        if self._has_head:
            x = self.head(x)
        masks: torch.Tensor = self.embedding(x)
        return masks


class _BatchNorm(nn.Module):
    """Normalises ``(batch, frames, features, ...)`` by feature."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm1d(features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = x.transpose(1, 2)
        normal: torch.Tensor = self.batch_norm(first.flatten(2)).view_as(first)
        return normal.transpose(1, 2)


class _Dense(nn.Module):
    """A layer across the features of each frame, normalised and rectified."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(ins, outs, bias=False)
        self.norm = _BatchNorm(outs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.norm(self.linear(x)))


class _RecurrentStack(nn.Module):
    """An LSTM whose forget gates are initialised open."""

    def __init__(
        self, features: int, hidden: int, layers: int, bidirectional: bool, dropout: float
    ) -> None:
        super().__init__()
        self.rnn = nn.LSTM(
            features,
            hidden,
            layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )
        for name, parameter in self.rnn.named_parameters():
            if "weight" in name:
                nn.init.xavier_normal_(parameter)
            else:  # the order of gates is input, forget, cell, output
                nn.init.zeros_(parameter)
                nn.init.ones_(parameter.data[hidden : 2 * hidden])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.rnn(x)[0]
        return out


class _Embedding(nn.Module):
    """A dense layer from the features of a frame to each bin, channel and source."""

    def __init__(
        self, ins: int, shape: tuple[int, int, int], activation: str | Sequence[str]
    ) -> None:
        super().__init__()
        self.shape, self.activation = shape, activation
        bins, channels, sources = shape
        self.linear = nn.Linear(ins, bins * channels * sources)
        nn.init.xavier_normal_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        if "gated_tanh" in activation:
            self.embed_linear = nn.Sequential(nn.Linear(ins, ins), nn.Tanh())
            self.embed_gate = nn.Sequential(nn.Linear(ins, ins), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if "gated_tanh" in self.activation:
            x = self.embed_linear(x) * self.embed_gate(x)
        values: torch.Tensor = self.linear(x).unflatten(-1, self.shape)
        # One of the first group, and one of the second, as in nussl.
        if "sigmoid" in self.activation:
            values = torch.sigmoid(values)
        elif "tanh" in self.activation:
            values = torch.tanh(values)
        elif "relu" in self.activation:
            values = torch.relu(values)
        elif "softmax" in self.activation:
            values = torch.softmax(values, dim=-1)
        if "unit_norm" in self.activation:
            values = functional.normalize(values, dim=-1, p=2)
        elif "l1_norm" in self.activation:
            values = functional.normalize(values, dim=-1, p=1)
        return values
