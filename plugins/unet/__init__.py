"""A U-Net on spectrograms, after Jansson et al. 2017."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from sepbench.training.learned_mask import LearnedMask


class UNet(LearnedMask):
    """Masks the voice with a U-Net that sees several seconds at once."""

    name = "unet"
    version = "3"  # Since songs are brought to the median level of training.
    summary = "A U-Net that looks at several seconds of spectrogram and masks the voice."
    remainder = "accompaniment"
    license = "MIT; weights CC-BY-NC-SA-4.0"
    citation = (
        "Jansson et al.: Singing Voice Separation with Deep U-Net Convolutional Networks. "
        "ISMIR 2017"
    )
    folder = Path(__file__).parent
    trainable = "sepbench_plugins.unet.model:UNetTrainable"
    shipped = MappingProxyType(
        {"default": "49bf2dceb927a42c3e9d0b89eb0bd9b0a37f78a31a2f67bf520d9c7db936442f"}
    )
