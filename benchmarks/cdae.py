"""Compare chunks and networks computed together with one by one: speed and agreement.

    python benchmarks/cdae.py --seconds 60 --threads 1

Separates a stereo song with the published system and initial weights, which do not affect the time.
Four ways run in turn, each on as many chunks as fit ``--patience`` seconds:

- ``cdae``: as the method runs it;
- ``one by one``: the same transform and networks, one chunk, channel and network at a time;
- ``layers as written``: the transform of the nsgt library (a loop over its windows), and the
  networks layer by layer in torch, one at a time;
- ``keras``: as the published program does it, with the nsgt library and ``predict`` of a Keras
  model for each chunk and network.

The last two are left out if the nsgt library or TensorFlow is not installed. ``--threads 0`` lets
the libraries choose the number of threads, as they do for users.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from measure import Clock
from songs import song
from torch import nn
from torch.nn import functional

from sepbench.dsp.nsgt import bark
from sepbench.weights import container
from sepbench_plugins.cdae import Cdae
from sepbench_plugins.cdae.convert import MODEL
from sepbench_plugins.cdae.masking import wiener
from sepbench_plugins.cdae.model import CdaeTrainable

Separate = Callable[[torch.Tensor], torch.Tensor]


def main() -> None:
    """Measure each way and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--patience", type=float, default=15.0)
    parser.add_argument("--batch", type=int, default=Cdae.Options.batch)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    measure(given.seconds, given.batch, given.patience, given.threads)


@torch.inference_mode()
def measure(seconds: float, batch: int, patience: float, threads: int) -> None:
    """Time the ways on one song."""
    mixture = torch.stack(list(song(seconds).values())).sum(0)
    separator = _first_weights(batch)
    separator.separate(mixture[:, : 4 * MODEL["samples"]])
    with Clock() as clock:
        stems = separator.separate(mixture)
    ours = clock.spent
    print(
        f"{seconds:g} s of stereo song, cdae: {ours['cpu']:.2f} s, {ours['wall']:.2f} on the wall"
    )
    stems = {**stems, "harmonic": mixture - sum(stems.values())}
    made = torch.stack([stems[name] for name in separator.stems])
    ways: dict[str, Callable[[], Separate]] = {
        "one by one": lambda: _one_by_one(separator),
        "layers as written": lambda: _as_written(separator),
        "keras": lambda: _in_keras(separator, threads),
    }
    for name, prepare in ways.items():
        try:
            separate = prepare()
        except ImportError as error:
            print(f"{name}: left out ({error})")
            continue
        spent, count, apart = {"wall": 0.0, "cpu": 0.0}, 0, 0.0
        separate(torch.zeros(MODEL["samples"]))
        for channel, start in _places(mixture):
            chunk = mixture[channel, start : start + MODEL["samples"]]
            whole = functional.pad(chunk, (0, MODEL["samples"] - len(chunk)))
            with Clock() as clock:
                alone = separate(whole)
            spent = {kind: spent[kind] + clock.spent[kind] for kind in spent}
            count += 1
            together = made[:, channel, start : start + len(chunk)]
            apart = max(apart, float((alone[:, : len(chunk)] - together).abs().max()))
            if spent["wall"] > patience:
                break
        share = count / len(list(_places(mixture)))
        print(
            f"{name}: {spent['cpu'] / share:.1f} s, {spent['cpu'] / share / ours['cpu']:.1f} times "
            f"as long; {spent['wall'] / share:.1f} on the wall, "
            f"{spent['wall'] / share / ours['wall']:.1f} times ({count} chunks timed); "
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
        container.save(
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


def _as_written(separator: Cdae) -> Separate:
    """Separate with the library's transform and the layers of the networks, one at a time."""
    networks = copy.deepcopy(separator._network).to(memory_format=torch.contiguous_format)

    def hear(levels: torch.Tensor) -> torch.Tensor:
        return torch.stack([_layers(network, levels) for network in networks.values()])

    return _by_library(hear)


def _in_keras(separator: Cdae, threads: int) -> Separate:
    """Separate with the library's transform and a Keras model for each network."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow

    if threads:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    models = [_keras_model(keras, network) for network in separator._network.values()]

    def hear(levels: torch.Tensor) -> torch.Tensor:
        given = levels[None, ..., None].numpy()
        heard = [model.predict(given, verbose=0)[0, ..., 0] for model in models]
        return torch.from_numpy(np.stack(heard))

    return _by_library(hear)


def _keras_model(keras: Any, network: nn.Module) -> Any:
    layers = keras.layers
    around = {
        1: [layers.MaxPooling2D((3, 5), padding="same")],
        2: [layers.MaxPooling2D((1, 5), padding="same")],
        6: [layers.UpSampling2D((1, 5))],
        7: [layers.UpSampling2D((3, 5))],
    }
    model = keras.Sequential([keras.Input((96, 1948, 1))])
    for depth, conv in enumerate([*network.convs, network.last]):
        for layer in around.get(depth, []):
            model.add(layer)
        size = conv.kernel_size[0]
        layer = layers.Conv2D(conv.out_channels, size, padding="same", activation="relu")
        model.add(layer)
        layer.set_weights([conv.weight.permute(2, 3, 1, 0).numpy(), conv.bias.numpy()])
    model.add(layers.Cropping2D(((0, 0), (0, 2))))
    return model


def _by_library(hear: Callable[[torch.Tensor], torch.Tensor]) -> Separate:
    """Return a function that separates a chunk with the library's transform and the networks."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # where old_nsgt.py is
    from old_nsgt import library_frame

    scale = bark(0, MODEL["rate"] / 2, MODEL["bands"])
    frame = library_frame(scale, MODEL["rate"], MODEL["samples"], matrix=True)

    def separate(chunk: torch.Tensor) -> torch.Tensor:
        bands = torch.from_numpy(np.array(list(frame.forward(chunk.double().numpy()))))
        shares = wiener(hear(bands.abs().float()))
        stems = [frame.backward((bands * share).numpy()) for share in shares]
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
