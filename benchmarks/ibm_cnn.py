"""Compare one dense pass with a pass for each window: speed, and the difference of the masks.

    python benchmarks/ibm_cnn.py --seconds 60

Both are timed in one run on the same input, in CPU time of one thread. Windows are processed one at
a time, as published; the time for all is extrapolated from as many windows, spread over the song,
as fit ``--patience`` seconds. For the published networks, the convolutions and the dense layers are
also timed separately.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import nn
from torch.nn import functional

from sepbench.training.config import read_config
from sepbench.training.masking import MaskTrainable
from sepbench_plugins.ibm_cnn.model import trainable
from sepbench_plugins.ibm_cnn.published import WindowNet


def main() -> None:
    """Measure each config and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--patience", type=float, default=10.0)
    parser.add_argument(
        "--config",
        nargs="+",
        default=["default", "published-separator", "published-deep", "lin2018"],
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    for config in given.config:
        measure(config, given.seconds, given.patience)


@torch.inference_mode()
def measure(config: str, seconds: float, patience: float) -> None:
    """Time a network with random weights, which do not affect the time."""
    torch.manual_seed(0)
    model = trainable(read_config("ibm-cnn", config).model)
    if not isinstance(model, MaskTrainable):
        raise SystemExit(f"{config}: not a network of masks")
    network = model.network().eval()
    inputs = model.features(0.1 * torch.randn(1, int(seconds * model.rate)))
    frames, margin = inputs.shape[-1], model.margin
    padded = functional.pad(inputs, (margin, margin), value=model.silence)
    size = 2 * margin + 1
    published = isinstance(network, WindowNet)
    network(padded[..., :size])
    # A published network takes the same time for each part of a song, so one part is enough.
    part = padded[..., : min(padded.shape[-1], 512 + size - 1)] if published else padded
    began = time.process_time()
    dense = network.dense(part) if isinstance(network, WindowNet) else model.mask(network, inputs)
    whole = (time.process_time() - began) * frames / (part.shape[-1] - size + 1)

    spent, count, apart = 0.0, 0, 0.0
    columns = part.shape[-1] - size + 1
    for column in range(0, columns, max(1, columns // 200)):
        began = time.process_time()
        alone = network(padded[..., column : column + size])
        spent += time.process_time() - began
        count += 1
        same = dense[:, column] if published else dense[..., column]
        apart = max(
            apart, float((alone[:, 0] - same if published else alone[..., 0] - same).abs().max())
        )
        if spent > patience:
            break
    windows = spent / count * frames
    print(
        f"{config}: {seconds:g} s of song, {frames} columns; dense {whole:.1f} s, window after "
        f"window {windows:.1f} s ({count} timed): {windows / whole:.1f} times faster; masks differ "
        f"by {apart:.1e}"
    )
    if isinstance(network, WindowNet):
        shares(network, padded[..., :size])


def shares(network: WindowNet, window: torch.Tensor) -> None:
    """Print the time of one window's convolutions and dense layers."""
    spent = {nn.Conv2d: 0.0, nn.Linear: 0.0}
    for kind in spent:
        for layer in (layer for layer in network.modules() if isinstance(layer, kind)):
            layer.register_forward_pre_hook(lambda *_: began.append(time.process_time()))
            layer.register_forward_hook(
                lambda *_, kind=kind: spent.update(
                    {kind: spent[kind] + time.process_time() - began.pop()}
                )
            )
    began: list[float] = []
    for _ in range(20):
        network(window)
    total = sum(spent.values())
    print(
        f"  of one window's layers: convolutions {spent[nn.Conv2d] / total:.0%}, "
        f"dense {spent[nn.Linear] / total:.0%}"
    )


if __name__ == "__main__":
    main()
