"""A U-Net on spectrograms, after Jansson et al. 2017."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from sepbench.training.learned import Shipped
from sepbench.training.learned_mask import LearnedMask


class UNet(LearnedMask):
    """Masks the voice with a U-Net over several seconds."""

    name = "unet"
    version = "4"  # Raised when stereo songs were separated as mid and side.
    summary = "A U-Net over several seconds of a spectrogram that masks the voice."
    remainder = "accompaniment"
    citation = (
        "Jansson et al.: Singing Voice Separation with Deep U-Net Convolutional Networks. "
        "ISMIR 2017"
    )
    folder = Path(__file__).parent
    trainable = "sepbench_plugins.unet.model:UNetTrainable"
    shipped = MappingProxyType(
        {"default": Shipped("5cc20462e8786d2c814bc32a587a61011f2f29a0abe8fbb071215b9f1ecbb81f")}
    )
