"""A convolutional network that masks the voice column by column, after Vocal Mask CNN."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sepbench.separator import option
from sepbench.training.learned import MonoOptions, Shipped, wiener_option
from sepbench.training.learned_mask import LearnedMask

if TYPE_CHECKING:
    import torch


class MaskCnn(LearnedMask):
    """Predicts the mask of each column of a spectrogram from the window around it."""

    name = "mask-cnn"
    version = "4"  # Raised when stereo songs were separated as mid and side.
    summary = "A convolutional network that masks the voice in each column of a spectrogram."
    citation = (
        "Lin et al.: Singing voice separation using a deep convolutional neural network trained "
        "by ideal binary mask and cross entropy. Neural Computing and Applications, 2018"
    )
    folder = Path(__file__).parent
    trainable = "sepbench_plugins.mask_cnn.model:MaskCnnTrainable"
    shipped = MappingProxyType(
        {"default": Shipped("5122bb63e6ec509d416c8b31f7945bbdd22f1cae9261e1ca9b952d6c90f9e8d1")}
    )

    @dataclass(frozen=True)
    class Options(MonoOptions):
        """Options."""

        wiener: int = wiener_option("after hard masks, a gate or weights for something else")
        mask: str = option("soft", "soft or binary mask", choices=("soft", "hard"))
        threshold: float = option(
            0.5, "value above which a hard mask gives a bin to the voice", minimum=0.0, maximum=1.0
        )
        gate: float = option(
            0.0, "mask values up to this become 0, in both stems", minimum=0.0, maximum=1.0
        )

    options: Options

    @property
    def remainder(self) -> str | None:
        """The accompaniment, unless a gate applies to both."""
        return None if self.options.gate and self.options.mask == "soft" else "accompaniment"

    @property
    def least_error(self) -> bool:
        """Whether the mask is used unchanged, too."""
        return super().least_error and self.options.mask == "soft" and not self.options.gate

    def shares(self, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the mask of each stem, given that of the voice."""
        if self.options.mask == "hard":
            return {"vocals": (mask > self.options.threshold).to(mask)}
        if not self.options.gate:
            return {"vocals": mask}
        rest = 1 - mask
        return {
            "vocals": mask * (mask > self.options.gate),
            "accompaniment": rest * (rest > self.options.gate),
        }
