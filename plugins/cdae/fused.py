"""Optimises trained networks for CPUs: the same results with less work."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from sepbench.training.fused import fused

from .network import PublishedNet, StridedNet, pool

_NEVER = -1e30
"""Lower than any output of a convolution."""


def arrange(networks: nn.Module) -> nn.Module:
    """Return an equivalent module of trained networks, faster on a CPU.

    Shape:
        input: magnitudes ``(batch, bands, frames)`` of the mixture.
        output: magnitudes ``(batch, stems, rows, frames)``; a row may stand for three bands.
    """
    networks = fused(networks)
    if next(networks.parameters()).device.type != "cpu":
        return networks
    published = [network for network in networks.children() if isinstance(network, PublishedNet)]
    if published:
        return _Published(published).requires_grad_(False)
    for network in networks.modules():
        if isinstance(network, StridedNet):
            network.add_module("head", _Patches(network.head))
    return networks.requires_grad_(False)


class _Published(nn.Module):
    """Networks of `PublishedNet` with a common first layer.

    The first layers take most of the time: they compute 36 channels at full resolution, and pooling
    keeps a fifteenth of the values. Here they process three bands at a time.
    """

    def __init__(self, networks: Sequence[PublishedNet]) -> None:
        super().__init__()
        kernels = [network.get_parameter("convs.0.weight").flatten(1) for network in networks]
        biases: list[torch.Tensor] = [network.get_parameter("convs.0.bias") for network in networks]
        self.widths = [len(bias) for bias in biases]
        self.kernels = nn.Parameter(functional.pad(torch.cat(kernels), (0, 1), value=_NEVER))
        self.bias = nn.Parameter(torch.cat(biases))
        self.later = nn.ModuleList(_LaterLayers(network) for network in networks)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the stems' magnitudes, one row for three bands."""
        # Each thread processes its own chunk.
        parts = torch.split(magnitudes, torch.get_num_threads())
        first = torch.cat([self._first(part) for part in parts])
        pooled = torch.split(first, self.widths, dim=1)
        coarse = [layers(x) for layers, x in zip(self.later, pooled, strict=True)]
        return torch.stack(coarse, dim=1)[..., : magnitudes.shape[-1]]

    def _first(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """Return the pooled outputs of all first layers, ``(batch, 36, rows, columns)``.

        The taps of all places that are pooled into one row are a matrix, places by their fifteenth
        of a pool; its product with the kernels stays in the cache.
        """
        batch, bands, frames = magnitudes.shape
        columns, missing = -(-frames // 5), -frames % 5
        left, right = missing // 2, missing - missing // 2
        padded = functional.pad(magnitudes, (1 + left, 1 + right, 1, 1))
        fifths = padded.unfold(2, 7, 5).mT.contiguous()
        taps = magnitudes.new_zeros(batch, 10, 3, 5, columns)
        # The last tap marks positions beyond the ends, which must not be the maximum.
        taps[:, 9, :, :left, 0] = taps[:, 9, :, 5 - right :, -1] = 1
        inner = taps[:, :9].view(batch, 3, 3, 3, 5, columns)
        kernels = self.kernels.expand(batch, -1, -1)
        fine = magnitudes.new_empty(batch, len(self.bias), 15, columns)
        pooled = magnitudes.new_empty(batch, len(self.bias), bands // 3, columns)
        for row in range(bands // 3):
            places = fifths[:, 3 * row : 3 * row + 5].unfold(1, 3, 1).unfold(2, 3, 1)
            inner.copy_(places.permute(0, 4, 5, 1, 2, 3))
            torch.bmm(kernels, taps.flatten(2), out=fine.flatten(2))
            torch.amax(fine, 2, out=pooled[:, :, row])
        return pooled.add_(self.bias[:, None, None]).relu_()


class _LaterLayers(nn.Module):
    """The layers of a `PublishedNet` after the first.

    Upsampling repeats each column five times. A kernel three columns wide gives equal results for
    the middle three, where it sees only copies. So each column gives three results (first, middle
    and last) as three channels; kernel columns that see the same copy are summed.

    Shape:
        input: ``(batch, 12, rows, columns)``.
        output: magnitudes ``(batch, rows, frames)``, frames up to a multiple of 25.
    """

    def __init__(self, network: PublishedNet) -> None:
        super().__init__()
        self.convs = nn.ModuleList(copy.deepcopy(conv) for conv in network.convs[:-1])
        del self.convs[0]
        left, middle, right = network.get_parameter("convs.6.weight").unbind(-1)
        none = torch.zeros_like(left)
        kernels = [
            torch.stack([left, middle + right, none], dim=-1),
            torch.stack([none, left + middle + right, none], dim=-1),
            torch.stack([none, left + middle, right], dim=-1),
        ]
        self.spread = _conv(torch.cat(kernels), network.get_parameter("convs.6.bias").repeat(3))
        last = network.last.weight.flatten(1)
        places = torch.eye(3)[:, :, None] * last
        self.last = _conv(
            places.flatten(1)[..., None, None], network.get_parameter("last.bias").repeat(3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return magnitudes at a third of the bands."""
        for depth, conv in enumerate(self.convs):
            x = conv(x) if depth else pool(conv(x), 1)
            x = x.relu_()
        first, between, last = self.last(self.spread(x).relu_()).relu_().unbind(1)
        columns = torch.stack([first, between, between, between, last], dim=-1)
        return columns.flatten(-2).repeat_interleave(5, dim=-1)


class _Patches(nn.Module):
    """A transposed convolution whose stride is half its kernel, as a convolution of two by two.

    Each position computes a patch of the output, as channels, from the four inputs around it.
    """

    def __init__(self, conv: nn.ConvTranspose2d) -> None:
        super().__init__()
        self.high, self.wide = conv.stride
        # The farthest taps belong to the previous input.
        patches = conv.weight.view(*conv.weight.shape[:2], 2, self.high, 2, self.wide).flip(2, 4)
        weight = patches.permute(1, 3, 5, 0, 2, 4).flatten(0, 2)
        assert conv.bias is not None  # noqa: S101 - the head has one
        self.conv = _conv(weight, conv.bias.repeat_interleave(self.high * self.wide))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output, its outer half patches cut off."""
        x = self.conv(x)
        batch, _, rows, columns = x.shape
        x = x.view(batch, -1, self.high, self.wide, rows, columns).permute(0, 1, 4, 2, 5, 3)
        x = x.reshape(batch, -1, rows * self.high, columns * self.wide)
        high, wide = self.high // 2, self.wide // 2
        return x[..., high:-high, wide:-wide]


def _conv(weight: torch.Tensor, bias: torch.Tensor) -> nn.Conv2d:
    """Return a convolution with these weights that reaches half its kernel beyond the ends."""
    (outs, ins), size = weight.shape[:2], weight.shape[2:]
    # On "meta" no initial weights are drawn, which would advance the random generator.
    conv = nn.Conv2d(ins, outs, (size[0], size[1]), padding=size[0] // 2, device="meta")
    conv.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
    conv.bias = nn.Parameter(bias)
    return conv
