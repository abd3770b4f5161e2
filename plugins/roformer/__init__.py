"""BS-RoFormer and Mel-Band RoFormer from any checkpoint with its config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench.errors import MethodError, SepbenchError
from sepbench.separator import UNKNOWN_TRAINING, Requirement, SampleCount, Separator, option

if TYPE_CHECKING:
    import torch

    from . import schemes
    from .config import Config

_INSTALL = "pip install 'sepbench[roformer]'"


class Roformer(Separator):
    """Transformers along time and along bands of frequency mask a complex spectrum."""

    name = "roformer"
    version = "3"  # Raised when of songs shorter than two chunks only the last lost its fade-out.
    summary = "BS-RoFormer or Mel-Band RoFormer from a checkpoint and its config (MSST)."
    license = "MIT; weights LicenseRef-not-stated"
    trained_on = UNKNOWN_TRAINING
    citation = (
        "Lu et al.: Music Source Separation with Band-Split RoPE Transformer. ICASSP 2024; "
        "Wang, Lu and Won: Mel-Band RoFormer for Music Source Separation. 2023"
    )

    @dataclass(frozen=True)
    class Options:
        """Options: the checkpoint, and how chunks are combined."""

        config: str = option("", "the YAML file that came with the checkpoint")
        checkpoint: str = option("", "the file of tensors: .ckpt, .pth or .safetensors")
        scheme: str = option(
            "msst",
            "program whose overlap of chunks is used; host: as sepbench does for other networks",
            choices=("msst", "audio-separator", "host"),
        )
        num_overlap: int = option(
            0, "chunks that cover each sample; 0: as in the config", minimum=0, maximum=50
        )
        tta: bool = option(False, "average over the song, its swapped channels, and its negative")

    options: Options

    @cached_property
    def config(self) -> Config:
        """The config of the checkpoint; raises `SepbenchError` if there is none."""
        from .config import read

        chosen = self.options
        if not (chosen.config and chosen.checkpoint):
            raise MethodError(
                self.name,
                "give it a checkpoint and its config: "
                "roformer[config=FILE.yaml,checkpoint=FILE.ckpt]",
            )
        config = read(Path(chosen.config))
        if config.normalize and chosen.scheme == "host":
            raise SepbenchError(
                f"{chosen.config}: normalises the whole song; take scheme=msst or audio-separator"
            )
        overlap = chosen.num_overlap or config.num_overlap
        if (samples := config.samples(chosen.scheme)) < overlap:
            raise SepbenchError(
                f"{chosen.config}: a chunk of {samples} samples cannot begin every 1/{overlap} of "
                "its length; give a smaller num_overlap, or a longer chunk_size or dim_t"
            )
        return config

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems of the config, and the rest if it has one target."""
        rest = self.config.remainder
        return (*self.config.stems, *([rest] if rest else []))

    @property
    def remainder(self) -> str | None:
        """The stem that the network does not make."""
        return self.config.remainder

    @property
    def sample_rate(self) -> int:
        """The rate of training."""
        return self.config.rate

    @property
    def channels(self) -> int:
        """The channels of training."""
        return self.config.channels

    @property
    def context(self) -> SampleCount | None:
        """Length of a chunk; None if the config normalises by the mean of the whole song."""
        if self.config.normalize:
            return None
        chunk = self._chunk
        # MSST mirrors songs longer than twice the overlap: blocks must be longer too.
        least = 2 * (chunk - self._step) if self.options.scheme == "msst" else 0
        return SampleCount(max(chunk, least))

    @property
    def memory_per_second(self) -> float:
        """Measured by ``benchmarks/memory.py``: copies of the song, its stems, and weights."""
        augmented = 2.5 + 2 * len(self.config.stems) if self.options.tta else 0.0
        copies = 5.0 + len(self.stems) + augmented
        return 4.0 * self.channels * self.sample_rate * copies

    @property
    def block_alignment(self) -> int:
        """Chunks have the same positions in a block as in the whole song."""
        return self._step

    @property
    def needs(self) -> tuple[Requirement, ...]:
        """The package of the network."""
        from .packages import PACKAGES

        try:
            kind = self.config.kind
        except SepbenchError:
            return ()
        return (Requirement(PACKAGES[kind].module, _INSTALL),)

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """The digests of both files, and the version of the package."""
        from sepbench.weights.container import sha256

        from .packages import PACKAGES

        self.config  # noqa: B018 - raises where there is none
        files = {name: Path(getattr(self.options, name)) for name in ("config", "checkpoint")}
        found = {name: sha256(path) if path.is_file() else None for name, path in files.items()}
        return {**found, "package": PACKAGES[self.config.kind].version()}

    @property
    def _num_overlap(self) -> int:
        return self.options.num_overlap or self.config.num_overlap

    @property
    def _chunk(self) -> int:
        """Samples of a chunk."""
        return self.config.samples(self.options.scheme)

    @property
    def _step(self) -> int:
        return self._chunk // self._num_overlap

    def load(self, device: torch.device) -> None:
        """Build the network and read its tensors."""
        from . import network, schemes

        self._network = network.build(self.config).to(device)
        network.load(self._network, Path(self.options.checkpoint), self.config.name)
        # The chunks that cover the cross-fade of two blocks, for the song and its two variants.
        count = self._num_overlap + 2
        self._remembered = [schemes.Remembered(self._apply, count) for _ in range(3)]

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems, each ``(channels, samples)``."""
        plain, swapped, negated = self._remembered
        stems = self._once(mixture, plain)
        if self.options.tta:
            stems = stems + self._once(mixture.flip(0), swapped).flip(1)
            stems = (stems - self._once(-mixture, negated)) / 3
        return dict(zip(self.config.stems, stems, strict=True))

    def _once(self, mixture: torch.Tensor, apply: schemes.Remembered) -> torch.Tensor:
        """Return the stems of a mixture, ``(stems, channels, samples)``."""
        import torch

        from sepbench.dsp.chunks import overlap_add

        from . import schemes

        config, scheme = self.config, self.options.scheme
        mean, deviation = mixture.new_zeros(()), mixture.new_ones(())
        if config.normalize:
            middle = mixture.mean(0)
            mean, deviation = middle.mean(), middle.std(correction=0).clamp_min(1e-8)
        fed = (mixture - mean) / deviation if config.normalize else mixture
        chunk, kept = self._chunk, self.kept
        if scheme == "host":
            window = torch.hann_window(chunk + 2, periodic=False, device=fed.device)[1:-1]
            made = overlap_add(
                fed,
                lambda chunks: torch.stack([apply(one) for one in chunks]),
                window=window,
                step=self._step,
                lead=chunk - self._step,
                kept=kept,
            )
        else:
            combine = schemes.msst if scheme == "msst" else schemes.audio_separator
            made = combine(fed, apply, chunk=chunk, num_overlap=self._num_overlap, kept=kept)
        return made.mul_(deviation).add_(mean) if config.normalize else made

    def _apply(self, chunk: torch.Tensor) -> torch.Tensor:
        """Return the stems of a chunk, ``(stems, channels, samples)``.

        The network's transform mirrors half a window, and its inverse ends at a whole hop: other
        chunks, such as a song shorter than one chunk, are padded with silence.
        """
        from torch.nn.functional import pad

        config, size = self.config, chunk.shape[-1]
        hops = -(-max(size, config.n_fft // 2 + 1) // config.hop)
        made: torch.Tensor = self._network(pad(chunk, (0, hops * config.hop - size))[None])[0]
        if made.ndim == 2:
            made = made[None]
        return pad(made[..., :size], (0, max(0, size - made.shape[-1])))
