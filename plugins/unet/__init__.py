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
        {"default": Shipped("477d845740155d07ec3399c230408f68244032ad260b91e28880cff0b5948ca1")}
    )

    @property
    def frames_together(self) -> int:
        """Two to the number of levels, of which the compact network has four by default."""
        widths = self.header["model"].get("widths")
        return 2 ** len(widths) if isinstance(widths, list) else 16
