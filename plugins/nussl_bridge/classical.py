"""nussl's classical separators: by repetition, low rank and median filters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from sepbench.errors import MethodError
from sepbench.separator import BLOCK_ALIGNMENT, SampleCount, option

from .base import MaskOptions, NusslSeparator


@dataclass(frozen=True)
class _Foreground(NusslSeparator.Options):
    """Options of separators that find a background."""

    high_pass_cutoff: float = option(
        100.0, "frequency in Hz below which everything is background", minimum=0.0, maximum=22050.0
    )


class Repet(NusslSeparator):
    """REPET: the background repeats with one period, found in the beat spectrum."""

    name = "nussl-repet"
    summary = "nussl's REPET: vocals over a background that repeats with one period."
    citation = (
        "Rafii, Pardo: REpeating Pattern Extraction Technique (REPET): A Simple Method for "
        "Music/Voice Separation. IEEE TASLP 2013"
    )

    @dataclass(frozen=True)
    class Options(_Foreground, MaskOptions):
        """Options; the defaults are nussl's."""

        min_period: float = option(0.8, "shortest period in seconds", minimum=0.1, maximum=60.0)
        max_period: float = option(
            8.0,
            "longest period in seconds, or a third of the song if shorter",
            minimum=0.1,
            maximum=60.0,
        )
        period: float = option(
            0.0, "known period in seconds; 0: find it", minimum=0.0, maximum=60.0
        )

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        tuned = self.options
        if tuned.max_period < tuned.min_period:
            raise MethodError(
                self.name,
                f"option max_period={tuned.max_period:g}: "
                f"must be at least min_period={tuned.min_period:g}",
            )

    @property
    def least(self) -> int:
        """The known period, or three of the shortest to find one."""
        seconds = self.options.period or 3 * self.options.min_period
        return max(super().least, math.ceil(seconds * self.sample_rate) + self.options.n_fft)

    def build(self, nussl: ModuleType, signal: Any) -> Any:
        """Return nussl's ``Repet``."""
        tuned = self.options
        known = {"period": tuned.period}
        sought = {"min_period": tuned.min_period, "max_period": tuned.max_period}
        return nussl.separation.primitive.Repet(
            signal,
            high_pass_cutoff=tuned.high_pass_cutoff,
            mask_type=tuned.mask_type,
            **(known if tuned.period else sought),
        )


class RepetSim(NusslSeparator):
    """REPET-SIM: the background is the common part of similar frames.

    Memory grows with the square of the length: 10 GB for four minutes of stereo.
    """

    name = "nussl-repet-sim"
    summary = "nussl's REPET-SIM: vocals over the common part of similar frames."
    citation = "Rafii, Pardo: Music/Voice Separation Using the Similarity Matrix. ISMIR 2012"

    @dataclass(frozen=True)
    class Options(_Foreground, MaskOptions):
        """Options; the defaults are nussl's."""

        similarity_threshold: float = option(
            0.0, "least similarity, relative to a frame's maximum", minimum=0.0, maximum=1.0
        )
        min_distance_between_frames: float = option(
            1.0, "least distance of similar frames in seconds", minimum=0.0, maximum=60.0
        )
        max_repeating_frames: int = option(
            100, "largest number of similar frames", minimum=1, maximum=10000
        )

    options: Options

    def build(self, nussl: ModuleType, signal: Any) -> Any:
        """Return nussl's ``RepetSim``."""
        return nussl.separation.primitive.RepetSim(
            signal,
            similarity_threshold=self.options.similarity_threshold,
            min_distance_between_frames=self.options.min_distance_between_frames,
            max_repeating_frames=self.options.max_repeating_frames,
            high_pass_cutoff=self.options.high_pass_cutoff,
            mask_type=self.options.mask_type,
        )


class FT2D(NusslSeparator):
    """2DFT: repetition gives peaks in the two-dimensional transform of the spectrogram."""

    name = "nussl-ft2d"
    summary = "nussl's 2DFT: vocals are the aperiodic part of the spectrogram."
    citation = (
        "Seetharaman, Pishdadian, Pardo: Music/Voice Separation Using the 2D Fourier Transform. "
        "WASPAA 2017"
    )

    @dataclass(frozen=True)
    class Options(_Foreground, MaskOptions):
        """Options; the defaults are nussl's."""

        neighborhood_frequency: int = option(
            1, "rows around a peak of the transform", minimum=1, maximum=511
        )
        neighborhood_time: int = option(
            25, "columns around a peak of the transform", minimum=1, maximum=511
        )
        filter_approach: str = option(
            "local_std", "method of peak picking", choices=("local_std", "original")
        )
        use_bg_2dft: bool = option(
            True, "masks from the peaks (the background); false: from the rest (the foreground)"
        )

    options: Options

    def build(self, nussl: ModuleType, signal: Any) -> Any:
        """Return nussl's ``FT2D``."""
        tuned = self.options
        return nussl.separation.primitive.FT2D(
            signal,
            neighborhood_size=(tuned.neighborhood_frequency, tuned.neighborhood_time),
            high_pass_cutoff=tuned.high_pass_cutoff,
            filter_approach=tuned.filter_approach,
            use_bg_2dft=tuned.use_bg_2dft,
            mask_type=tuned.mask_type,
        )


class RPCA(NusslSeparator):
    """Robust principal component analysis: the background has low rank, the voice is sparse.

    Its masks are binary. Slow: its time grows with the length times the square of the bins.
    """

    name = "nussl-rpca"
    summary = "nussl's RPCA: sparse vocals over a background of low rank."
    channels = 1  # nussl also processes them one by one, but fails if one is silent
    citation = (
        "Huang et al.: Singing-Voice Separation from Monaural Recordings Using Robust Principal "
        "Component Analysis. ICASSP 2012"
    )

    @dataclass(frozen=True)
    class Options(_Foreground):
        """Options; the defaults are nussl's."""

        num_iterations: int = option(100, "largest number of iterations", minimum=1, maximum=10000)
        epsilon: float = option(1e-7, "relative error to stop at", minimum=0.0, maximum=1.0)

    options: Options

    def build(self, nussl: ModuleType, signal: Any) -> Any:
        """Return nussl's ``RPCA``."""
        return nussl.separation.factorization.RPCA(
            signal,
            high_pass_cutoff=self.options.high_pass_cutoff,
            num_iterations=self.options.num_iterations,
            epsilon=self.options.epsilon,
        )


class HPSS(NusslSeparator):
    """librosa's median filters on nussl's frames."""

    name = "nussl-hpss"
    summary = "nussl's HPSS: harmonic and percussive parts by running medians."
    stems = estimates = ("harmonic", "percussive")
    citation = "FitzGerald: Harmonic/Percussive Separation Using Median Filtering. DAFx 2010"

    @dataclass(frozen=True)
    class Options(NusslSeparator.Options, MaskOptions):
        """Options; the defaults are nussl's."""

        kernel_harmonic: int = option(31, "frames of the median along time", minimum=1, maximum=511)
        kernel_percussive: int = option(
            31, "bins of the median along frequency", minimum=1, maximum=511
        )

    options: Options

    @property
    def context(self) -> SampleCount | None:
        """A window and half a median; the whole song if hops do not divide the alignment.

        With such hops the frames of a block would differ from those of the whole song.
        """
        hop = self.options.n_fft // 4
        if BLOCK_ALIGNMENT % hop:
            return None
        return SampleCount(self.options.n_fft + hop * (self.options.kernel_harmonic // 2 + 1))

    def build(self, nussl: ModuleType, signal: Any) -> Any:
        """Return nussl's ``HPSS``."""
        return nussl.separation.primitive.HPSS(
            signal,
            kernel_size=(self.options.kernel_harmonic, self.options.kernel_percussive),
            mask_type=self.options.mask_type,
        )
