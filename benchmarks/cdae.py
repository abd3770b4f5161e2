"""Chunks and networks in batches against one by one: how much faster, and how far apart.

    python benchmarks/cdae.py --seconds 60 --threads 1

A stereo song goes through the published system with first weights, which change nothing about
time. Three ways, in one run, each on as many chunks as fit ``--patience`` seconds of processor
time, which is what is measured:

- ``batched``: as the method ``cdae`` runs it, chunks side by side;
- ``one by one``: the same transform and networks, a chunk, a channel and a network at a time;
- ``as published``: the transform of the nsgt library if it is there (a loop over its windows), and
  the networks layer by layer as they are written down, one at a time.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from measure import Clock
from songs import song
from torch import nn
from torch.nn import functional

from sepbench.dsp.nsgt import bark
from sepbench.training import weights
from sepbench_plugins.cdae import Cdae
from sepbench_plugins.cdae.exchange import MODEL
from sepbench_plugins.cdae.masking import wiener
from sepbench_plugins.cdae.model import CdaeTrainable

Separate = Callable[[torch.Tensor], torch.Tensor]


def main() -> None:
    """Measure and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--patience", type=float, default=15.0)
    parser.add_argument("--batch", type=int, default=Cdae.Options.batch)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    measure(given.seconds, given.batch, given.patience)


@torch.inference_mode()
def measure(seconds: float, batch: int, patience: float) -> None:
    """Time the three ways on one song."""
    mixture = torch.stack(list(song(seconds).values())).sum(0)
    separator = _first_weights(batch)
    separator.separate(mixture[:, : 2 * MODEL["samples"]])
    with Clock() as clock:
        stems = separator.separate(mixture)
    batched = clock.spent["cpu"]
    print(f"{seconds:g} s of stereo song, batched: {batched:.2f} s")
    made = torch.stack([stems[name] for name in separator.stems])
    ways = {"one by one": _one_by_one(separator), "as published": _as_published(separator)}
    for name, separate in ways.items():
        spent, count, apart = 0.0, 0, 0.0
        for channel, start in _places(mixture):
            chunk = mixture[channel, start : start + MODEL["samples"]]
            whole = functional.pad(chunk, (0, MODEL["samples"] - len(chunk)))
            with Clock() as clock:
                alone = separate(whole)
            spent += clock.spent["cpu"]
            count += 1
            together = made[:, channel, start : start + len(chunk)]
            apart = max(apart, float((alone[:, : len(chunk)] - together).abs().max()))
            if spent > patience:
                break
        total = spent / count * len(list(_places(mixture)))
        print(
            f"{name}: {total:.1f} s ({count} chunks timed), {total / batched:.1f} times as long; "
            f"apart by {apart:.1e}"
        )


def _places(mixture: torch.Tensor) -> Iterator[tuple[int, int]]:
    for start in range(0, mixture.shape[1], MODEL["samples"]):
        for channel in range(len(mixture)):
            yield channel, start


def _first_weights(batch: int) -> Cdae:
    torch.manual_seed(0)
    tensors = CdaeTrainable(MODEL).network().state_dict()
    for name, tensor in tensors.items():
        if "last" in name:  # something is heard everywhere
            tensor.abs_()
    header = {"method": "cdae", "model": MODEL, "context": None, "trained_on": []}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "first.safetensors"
        weights.save(
            file, {n: t.abs() if "last" in n else t for n, t in tensors.items()}, header, half=False
        )
        separator = Cdae(Cdae.Options(weights=str(file), overlap=0.0, batch=batch))
        separator.load(torch.device("cpu"))
        assert separator.header
    return separator


def _one_by_one(separator: Cdae) -> Separate:
    nsgt, networks = separator._model.nsgt, separator._network

    def separate(chunk: torch.Tensor) -> torch.Tensor:
        bands = nsgt.forward(chunk)
        heard = torch.stack([network(bands.abs()[None])[0] for network in networks.values()])
        return torch.stack([nsgt.inverse(bands * mask) for mask in wiener(heard)])

    return separate


def _as_published(separator: Cdae) -> Separate:
    """Return the same by the library's transform and the networks' own layers."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # where old_nsgt.py is
    from old_nsgt import library_frame

    networks = copy.deepcopy(separator._network).to(memory_format=torch.contiguous_format)
    scale = bark(0, MODEL["rate"] / 2, MODEL["bands"])
    frame = library_frame(scale, MODEL["rate"], MODEL["samples"], matrix=True)

    def separate(chunk: torch.Tensor) -> torch.Tensor:
        bands = torch.from_numpy(np.array(list(frame.forward(chunk.double().numpy()))))
        levels = bands.abs().float()
        heard = torch.stack([_layers(network, levels) for network in networks.values()])
        stems = [frame.backward((bands * mask).numpy()) for mask in wiener(heard)]
        return torch.from_numpy(np.stack(stems)).float()

    return separate


def _layers(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    frames = x.shape[-1]
    x = x[None, None]
    for depth, conv in enumerate(network.convs):
        if depth == 6:
            x = functional.interpolate(x, scale_factor=(1.0, 5.0))
        x = functional.relu(conv(x))
        if depth < 2:
            missing = -x.shape[-1] % 5
            x = functional.pad(x, (missing // 2, missing - missing // 2))
            x = functional.max_pool2d(x, (3 if depth == 0 else 1, 5))
    x = functional.interpolate(x, scale_factor=(3.0, 5.0))
    return functional.relu(network.last(x))[0, 0, :, :frames]


if __name__ == "__main__":
    main()
