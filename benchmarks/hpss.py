"""Compare median-filter HPSS with librosa's and nussl's, in one run.

python benchmarks/hpss.py [--seconds 60] [--threads 1 2] [--long] [--json FILE]
"""

from __future__ import annotations

import compare
import torch


def sepbench(mixture: torch.Tensor) -> compare.Stems:
    """Separate with the plugin at its defaults."""
    from sepbench_plugins.hpss import Hpss

    return {name: stem.numpy() for name, stem in Hpss().separate(mixture).items()}


def librosa(mixture: torch.Tensor) -> compare.Stems:
    """Separate with librosa's effect."""
    from librosa.effects import hpss

    return dict(zip(("harmonic", "percussive"), hpss(mixture.numpy()), strict=True))


def nussl(mixture: torch.Tensor) -> compare.Stems:
    """Separate with nussl on librosa's frames."""
    from sepbench_plugins.nussl_bridge import import_nussl

    old = import_nussl.nussl()
    signal = old.AudioSignal(audio_data_array=mixture.numpy(), sample_rate=compare.RATE)
    signal.stft_params = old.STFTParams(2048, 512, "hann")
    parts = old.separation.primitive.HPSS(signal)()
    return {
        name: part.audio_data for name, part in zip(("harmonic", "percussive"), parts, strict=True)
    }


if __name__ == "__main__":
    compare.main(sepbench, {"librosa": librosa, "nussl": nussl})
