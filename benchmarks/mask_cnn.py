"""Compare one dense pass with a pass for each window: speed, and the difference of the masks.

    python benchmarks/mask_cnn.py --seconds 60 --threads 1

Both are timed in one run on the same spectrogram. Windows are processed one at a time, as
published; the time for all is extrapolated from as many windows, spread over the song, as fit
``--patience`` seconds.
"""

from __future__ import annotations

import argparse
import time

import torch

from sepbench.training.config import read_config
from sepbench_plugins.mask_cnn.model import MaskCnnTrainable


def main() -> None:
    """Measure each config and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--patience", type=float, default=10.0)
    parser.add_argument("--config", nargs="+", default=["default"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for config in given.config:
        measure(config, given.seconds, given.patience)


@torch.inference_mode()
def measure(config: str, seconds: float, patience: float) -> None:
    """Time a network with initial weights, which do not affect the time."""
    torch.manual_seed(0)
    trainable = MaskCnnTrainable(read_config("mask-cnn", config).model)
    network = trainable.network().eval()
    noise = 0.1 * torch.randn(1, int(seconds * trainable.rate))
    inputs = trainable.features(noise)
    began = time.perf_counter()
    dense = trainable.mask(network, inputs)
    whole = time.perf_counter() - began

    margin, frames = trainable.margin, inputs.shape[-1]
    padded = torch.nn.functional.pad(inputs, (margin, margin), value=trainable.silence)
    stride = max(1, frames // 500)
    spent, count, apart = 0.0, 0, 0.0
    for frame in range(0, frames, stride):
        began = time.perf_counter()
        column = network(padded[..., frame : frame + 2 * margin + 1])
        spent += time.perf_counter() - began
        count += 1
        apart = max(apart, float((column[..., 0] - dense[..., frame]).abs().max()))
        if spent > patience:
            break
    windows = spent / count * frames
    print(
        f"{config}: {seconds:g} s of song, {frames} columns; one pass {whole:.2f} s, "
        f"windows {windows:.1f} s ({count} timed): {windows / whole:.1f} times faster; "
        f"masks differ by {apart:.1e}"
    )


if __name__ == "__main__":
    main()
