"""The published models of Demucs, run by their own package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sepbench.separator import Requirement, Separator, WeightFile, option

if TYPE_CHECKING:
    import torch

_HUB = "https://huggingface.co/adefossez"
_FINE_TUNED = f"{_HUB}/HTDemucs-ft/resolve/478be8a68f85418addd6f7baefd4be76522a4034"
_FINAL = "https://dl.fbaipublicfiles.com/demucs/mdx_final"
_HYBRID = (
    "Défossez: Hybrid Spectrogram and Waveform Source Separation. "
    "ISMIR Workshop on Music Source Separation, 2021"
)
_TRANSFORMER = (
    "Rouard, Massa and Défossez: Hybrid Transformers for Music Source Separation. ICASSP 2023"
)


class _Bag(NamedTuple):
    """Models whose outputs are averaged."""

    files: tuple[WeightFile, ...]
    citation: str
    trained_on: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...] | None = None
    """Weights of each model for drums, bass, other and vocals; None: equal."""
    segment: float | None = None
    """Length of a segment in seconds; None: as in training."""


def _tensors(address: str, signature: str, sha256: str) -> WeightFile:
    name = f"{signature}.safetensors"
    return WeightFile(name, sha256, f"{address}/{name}", size=84_025_440, terms="MIT")


def _package(name: str, sha256: str, size: int) -> WeightFile:
    return WeightFile(name, sha256, f"{_FINAL}/{name}", size=size, terms="not stated")


_BAGS = {
    "htdemucs": _Bag(
        (
            _tensors(
                f"{_HUB}/HTDemucs/resolve/bf35a81b663819a8255c8fefee17f9d812b786b5",
                "955717e8",
                "d9fa14133cfcc034a6758923bb3a8ca9f8dfd0b582134643bbf83f72c17576dd",
            ),
        ),
        _TRANSFORMER,
        ("musdb18/train", "private-800-songs"),
    ),
    "htdemucs_ft": _Bag(
        (
            _tensors(
                _FINE_TUNED,
                "f7e0c4bc",
                "2c85ab3c62dd6edd8e0b965e38b16fd1cdde357cc25de6b6bc9ce7c83f60925f",
            ),
            _tensors(
                _FINE_TUNED,
                "d12395a8",
                "5b01a97567ae9a3178a6236fb520251045c03eb8834bc8c24a4eec11d6c8fb56",
            ),
            _tensors(
                _FINE_TUNED,
                "92cfc3b6",
                "a241863551f30d01c42bd7b97da40839922ead3acb0f1fcab25682f55b4eeb59",
            ),
            _tensors(
                _FINE_TUNED,
                "04573f0d",
                "68854b0d7c2b3274723b5761f6fd9f5aec5f1bcd3f0de7c1669546fdb7871b7c",
            ),
        ),
        _TRANSFORMER,
        ("musdb18/train", "private-800-songs"),
        weights=((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
    ),
    "mdx": _Bag(
        (
            _package(
                "0d19c1c6-0f06f20e.th",
                "0f06f20ed6ddc8058fa72ccc4845f3a88916eff7d007b623924193de217bbcf4",
                178_048_329,
            ),
            _package(
                "7ecf8ec1-70f50cc9.th",
                "70f50cc947d08f32e6dd8e2b687d398fa5ef9e51d1bd7600e32205d1f44be6b9",
                178_048_329,
            ),
            _package(
                "c511e2ab-fe698775.th",
                "fe6987756a7087d339bf63b19bb481b12cea02d3bc0de7583df7597210209649",
                167_334_095,
            ),
            _package(
                "7d865c68-3d5dd56b.th",
                "3d5dd56b5bc986f136dff98655ded22b2b033f465ccec7a28640a6b15fd71ed6",
                167_918_783,
            ),
        ),
        _HYBRID,
        ("musdb18/train",),
        weights=((1, 1, 0, 0), (0, 1, 0, 0), (1, 0, 1, 1), (1, 0, 1, 1)),
        segment=44.0,
    ),
}


class Demucs(Separator):
    """Networks on the waveform and on the spectrogram at once, a segment at a time."""

    name = "demucs"
    summary = "Demucs: hybrid networks on waveform and spectrogram, four stems."
    stems = ("vocals", "drums", "bass", "other")
    sample_rate = 44_100
    channels = 2

    @dataclass(frozen=True)
    class Options:
        """Options."""

        model: str = option("htdemucs", "which models", choices=tuple(_BAGS))
        overlap: float = option(0.25, "overlap of segments, as a share of a segment", minimum=0.0,
                                maximum=0.9)  # fmt: skip
        shifts: int = option(
            0, "number of random shifts of the song to average over",
            minimum=0, maximum=20,
        )  # fmt: skip

    options: Options

    @property
    def needs(self) -> tuple[Requirement, ...]:
        """One of the packages with the models' code."""
        from .backend import module_name

        return (Requirement(module_name(), "pip install 'sepbench[demucs]'"),)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The package that runs the models."""
        from .backend import package

        return {"package": package()}

    @property
    def citation(self) -> str:
        """The publication of the models."""
        return self._bag.citation

    @property
    def license(self) -> str:
        """The licenses of the code and of the weights."""
        return f"MIT; weights {self._bag.files[0].terms}"

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The training data of the weights."""
        return self._bag.trained_on

    @property
    def weight_files(self) -> tuple[WeightFile, ...]:
        """One file per model."""
        return self._bag.files

    @property
    def _bag(self) -> _Bag:
        return _BAGS[self.options.model]

    def load(self, device: torch.device) -> None:
        """Read all models."""
        from sepbench.weights.files import checked

        from .models import read_bag

        models = read_bag(checked(self), self._bag.weights, self._bag.segment)
        self._models = models.to(device)

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems, each ``(2, samples)``."""
        from .models import apply

        return apply(
            self._models, mixture, overlap=self.options.overlap, shifts=self.options.shifts
        )
