"""Open-Unmix with its published weights: music in four stems, or speech in noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sepbench.separator import Separator, WeightFile, option

if TYPE_CHECKING:
    import torch


class _Model(NamedTuple):
    """A published model."""

    record: int
    """Number of the record on Zenodo."""
    files: Mapping[str, tuple[str, str]]
    """For each stem the name of its file, and its sha256 or, usually, the first digits."""
    terms: str
    trained_on: tuple[str, ...]
    size: int | None = None
    rate: int = 44_100
    channels: int = 2
    hops: int = 4
    """Hops in a window."""


def _music(vocals: str, drums: str, bass: str, other: str) -> dict[str, tuple[str, str]]:
    hashes = {"vocals": vocals, "drums": drums, "bass": bass, "other": other}
    return {stem: (f"{stem}-{sha256[:8]}.pth", sha256) for stem, sha256 in hashes.items()}


_MODELS = {
    "umxhq": _Model(
        3370489,
        _music(
            "b62c91cedbc7a066f1778ead5b5cecb377aa3a46a31af1cce7c5c8769339d083",
            "9619578f885c54737cb0234f9f9a4a679ee4f31438fd77fd1dbe02bb16c2da0a",
            "8d85a5bd",
            "b52fbbf7",
        ),
        "MIT",
        ("musdb18/train",),
        size=35_637_796,
    ),
    "umxl": _Model(
        5069601,
        _music("bccbd9aa", "69e0ebd4", "2ca1ce51", "c8c5b3e6"),
        "CC-BY-NC-SA-4.0",
        ("private-stems",),
    ),
    "umx": _Model(
        3370486, _music("c8df74a5", "5a48008b", "646024d3", "f8e132cc"), "MIT", ("musdb18/train",)
    ),
    "umxse": _Model(
        3786908,
        {
            "vocals": ("speech_f5e0d9f9.pth", "f5e0d9f9"),
            "accompaniment": ("noise_04a6fc2d.pth", "04a6fc2d"),
        },
        "not stated",
        ("voicebank-demand/train",),
        rate=16_000,
        channels=1,
        hops=2,
    ),
}


class OpenUnmix(Separator):
    """A recurrent network per stem on magnitudes, and a multichannel Wiener filter over all."""

    name = "open-unmix"
    summary = "Open-Unmix: a bidirectional recurrent network for each stem, and a Wiener filter."
    citation = (
        "Stöter et al.: Open-Unmix - A Reference Implementation for Music Source Separation. "
        "Journal of Open Source Software 4(41), 2019"
    )

    @dataclass(frozen=True)
    class Options:
        """Options."""

        model: str = option(
            "umxhq", "the model; umxse is for speech in noise", choices=tuple(_MODELS)
        )
        iterations: int = option(
            1,
            "iterations of the Wiener filter; 0: the networks' magnitudes unchanged",
            minimum=0,
            maximum=5,
        )

    options: Options

    @property
    def stems(self) -> tuple[str, ...]:
        """Four stems of music, or speech as vocals and noise as accompaniment."""
        return tuple(self._model.files)

    @property
    def sample_rate(self) -> int:
        """The rate of training."""
        return self._model.rate

    @property
    def channels(self) -> int:
        """The channels of training."""
        return self._model.channels

    @property
    def license(self) -> str:
        """The licenses of the code and of the weights."""
        return f"MIT; weights {self._model.terms}"

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The training data of the weights."""
        return self._model.trained_on

    @property
    def weight_files(self) -> tuple[WeightFile, ...]:
        """One file per stem."""
        model = self._model
        address = f"https://zenodo.org/records/{model.record}/files"
        return tuple(
            WeightFile(name, sha256, f"{address}/{name}", size=model.size, terms=model.terms)
            for name, sha256 in model.files.values()
        )

    @property
    def _model(self) -> _Model:
        return _MODELS[self.options.model]

    def load(self, device: torch.device) -> None:
        """Read the network of each stem."""
        from sepbench.dsp.stft import Stft
        from sepbench.weights.files import checked

        from .network import read_network

        self._networks = {
            stem: read_network(path).to(device)
            for stem, path in zip(self.stems, checked(self), strict=True)
        }
        n_fft = 2 * (next(iter(self._networks.values())).bins - 1)
        self._stft = Stft(n_fft=n_fft, hop=n_fft // self._model.hops)

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems, each ``(channels, samples)``."""
        from .filtering import separate

        return separate(
            mixture, self._networks, stft=self._stft, iterations=self.options.iterations
        )
