"""Optimises trained networks for inference: the same results except rounding, in less time."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .layers import Level


def fused(network: nn.Module) -> nn.Module:
    """Return an equivalent network that needs less work.

    Memory has channels last, which is faster for convolutions. On a CPU the result is a copy, only
    for inference: normalisations are fused into the convolutions before them, and a `Level` mixes
    its rows without copies. On other devices it is the network itself.

    >>> conv, norm = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3).eval()
    >>> network = nn.Sequential(conv, norm)
    >>> x = torch.rand(1, 2, 4, 5)
    >>> torch.allclose(fused(network)(x), network(x), atol=1e-6)
    True
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if any(parameter.device.type != "cpu" for parameter in network.parameters()):
        return network
    network = copy.deepcopy(network).eval()
    for part in list(network.modules()):
        if isinstance(part, nn.Sequential):
            _fuse_norms(part)
        for name, level in list(part.named_children()):
            if isinstance(level, Level):
                part.add_module(name, _Level(level))
    return network.requires_grad_(False)


def _fuse_norms(steps: nn.Sequential) -> None:
    """Fuse each normalisation into the convolution before it."""
    for place, (step, following) in enumerate(itertools.pairwise(steps)):
        if isinstance(following, nn.BatchNorm1d | nn.BatchNorm2d):
            if isinstance(step, nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d):
                turned = isinstance(step, nn.ConvTranspose1d | nn.ConvTranspose2d)
                steps[place] = fuse_conv_bn_eval(step, following, turned)
                steps[place + 1] = nn.Identity()
        elif isinstance(following, nn.ReLU) and place:
            # Nothing else uses the output of a layer in this sequence.
            following.inplace = True


class _Level(nn.Module):
    """A `Level` in channels-last memory: mixing across rows needs no copy."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.local = level.local
        self.squeeze, self.expand = level.squeeze.weight, level.expand.weight
        self.squeezed, self.expanded = _affine(level.squeeze_norm), _affine(level.expand_norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` plus the output of the layer."""
        rows = self.local(x).add_(x).relu_().permute(0, 2, 3, 1)
        (slope, offset), (last_slope, last_offset) = self.squeezed, self.expanded
        across = torch.matmul(self.squeeze, rows.flatten(2)).view(len(x), -1, *rows.shape[2:])
        across = torch.addcmul(offset, across, slope).relu_().mul_(last_slope)
        out = torch.matmul(self.expand, across.flatten(2)).view(rows.shape)
        return out.add_(last_offset).relu_().add_(rows).permute(0, 3, 1, 2)


def _affine(norm: nn.BatchNorm2d) -> nn.Parameter:
    """Return slope and offset of a normalisation, ``(2, channels)``."""
    past = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    slope = norm.weight / (past[1] + norm.eps).sqrt()
    return nn.Parameter(torch.stack([slope, norm.bias - past[0] * slope]))
