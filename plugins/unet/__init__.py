"""A U-Net on spectrograms, after Jansson et al. 2017."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sepbench.separator import option
from sepbench.training.learned import LearnedMask, wiener_option


class UNet(LearnedMask):
    """Masks the voice with a U-Net that sees several seconds at once."""

    name = "unet"
    version = "2"  # Since songs are brought to a level.
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

    @dataclass(frozen=True)
    class Options:
        """What can be tuned."""

        weights: str = option("default", "name of shipped weights, or path of a .safetensors file")
        full_band: bool = option(
            True, "continue the mask above the trained band; false: nothing above it"
        )
        wiener: int = wiener_option()

    options: Options
