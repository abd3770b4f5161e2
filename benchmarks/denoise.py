"""Score methods on a real voice in equally loud noise, in dB SDR.

    python benchmarks/denoise.py spleeter mask-cnn repet-sim

The voice is that of the built-in excerpt; the noises are generated from a seed. The mixtures are at
0 dB, so a score is also the gain of a method. `sepbench.inference.presets` quotes these scores.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from songs import RATE, song

from sepbench import registry
from sepbench.datasets import open_dataset
from sepbench.inference import runner


def main() -> None:
    """Print a row for each method and a column for each kind of noise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", nargs="+", metavar="METHOD[opt=value,...]")
    specs = parser.parse_args().specs
    (track,) = open_dataset("excerpt").tracks("test")
    audio = track.load()
    assert audio.rate == RATE
    voice = torch.from_numpy(audio.references["vocals"])
    noises = {name: noise / noise.std() * voice.std() for name, noise in made(voice).items()}
    print(f"{'method':32}" + "".join(f"{name:>10}" for name in noises))
    for method in registry.resolve_all(specs):
        separator = method.create()
        runner.load(separator, torch.device("cpu"))
        gains = [denoised(separator, voice, noise) for noise in noises.values()]
        print(f"{method.label:32}" + "".join(f"{gain:10.2f}" for gain in gains))


def made(voice: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return noises ``(channels, samples)`` as long as the voice."""
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(voice.shape, generator=generator)
    frequencies = torch.fft.rfftfreq(voice.shape[1], 1 / RATE).clamp_min(20)
    pink = torch.fft.irfft(torch.fft.rfft(white) / frequencies.sqrt(), voice.shape[1])
    time = torch.arange(voice.shape[1]) / RATE
    hum = sum(torch.sin(2 * torch.pi * 50 * k * time) / k for k in range(1, 9))
    beats = song(voice.shape[1] / RATE)["drums"]
    return {"white": white, "pink": pink, "hum": hum + pink / pink.std(), "beats": beats}


def denoised(separator: object, voice: torch.Tensor, noise: torch.Tensor) -> float:
    """Return the SDR in dB of the voice that a separator extracts from the noise."""
    mixture = (voice + noise).numpy()
    made = runner.separate(separator, mixture, rate=RATE, device=torch.device("cpu")).stems
    error = np.square(made["vocals"] - voice.numpy()).sum(dtype=np.float64)
    return float(10 * np.log10(np.square(voice.numpy()).sum(dtype=np.float64) / error))


if __name__ == "__main__":
    main()
