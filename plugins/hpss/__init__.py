"""Harmonic and percussive parts by median filtering."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.errors import SepbenchError
from sepbench.separator import BLOCK_ALIGNMENT, SampleCount, Separator, option

if TYPE_CHECKING:
    import torch


class Hpss(Separator):
    """Separates steady tones from short clicks.

    A running median along time keeps steady tones, one along frequency keeps clicks; the two
    compete for each bin. A margin above 1 leaves the rest to a residual (Driedger 2014).
    """

    name = "hpss"
    summary = "Harmonic and percussive parts by running medians along time and frequency."
    stems = ("harmonic", "percussive", "residual")
    remainder = "residual"
    license = "MIT"
    citation = (
        "FitzGerald: Harmonic/Percussive Separation Using Median Filtering. DAFx 2010; "
        "Driedger, Müller, Disch: Extending Harmonic-Percussive Separation of Audio Signals. "
        "ISMIR 2014"
    )

    @dataclass(frozen=True)
    class Options:
        """Options; the defaults are librosa's."""

        kernel_harmonic: int = option(31, "frames of the median along time", minimum=1, maximum=511)
        kernel_percussive: int = option(
            31, "bins of the median along frequency", minimum=1, maximum=511
        )
        margin: float = option(1.0, "factor by which a bin must exceed the other part", minimum=1.0)
        margin_percussive: float = option(
            0.0, "the same for the percussive part; 0: as margin", minimum=0.0
        )
        mask: str = option("soft", "soft or binary mask", choices=("soft", "hard"))
        power: float = option(2.0, "exponent of the soft mask", minimum=0.1, maximum=100.0)
        n_fft: int = option(2048, "window in samples", minimum=16, maximum=65536)
        hop: int = option(
            512, "samples between frames, at most half of n_fft", minimum=1, maximum=65536
        )

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        tuned = self.options
        if 2 * tuned.hop > tuned.n_fft:  # Between the windows nothing could be made again.
            raise SepbenchError(
                f"method hpss: option hop={tuned.hop}: must be at most half of n_fft={tuned.n_fft}"
            )
        if 0 < tuned.margin_percussive < 1:
            raise SepbenchError(
                f"method hpss: option margin_percussive={tuned.margin_percussive:g}: "
                "must be at least 1, or 0 to be as margin"
            )

    @property
    def context(self) -> SampleCount | None:
        """A window and half a median; the whole song if hops do not divide the alignment.

        With such hops the frames of a block would differ from those of the whole song.
        """
        tuned = self.options
        if BLOCK_ALIGNMENT % tuned.hop:
            return None
        return SampleCount(tuned.n_fft + tuned.hop * (tuned.kernel_harmonic // 2 + 1))

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the harmonic and the percussive part, each ``(channels, samples)``."""
        from sepbench.dsp.hpss import harmonic_percussive

        tuned = self.options
        harmonic, percussive = harmonic_percussive(
            mixture,
            n_fft=tuned.n_fft,
            hop=tuned.hop,
            kernels=(tuned.kernel_harmonic, tuned.kernel_percussive),
            margins=(tuned.margin, tuned.margin_percussive or tuned.margin),
            power=math.inf if tuned.mask == "hard" else tuned.power,
        )
        return {"harmonic": harmonic, "percussive": percussive}
