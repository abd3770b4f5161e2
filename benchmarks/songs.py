"""Songs to measure on: four stereo stems of tones, beats and noise, generated from a seed."""

from __future__ import annotations

import torch

RATE = 44100
STEMS = ("vocals", "drums", "bass", "other")


def song(seconds: float, *, seed: int = 0, cutoff: float = 20000.0) -> dict[str, torch.Tensor]:
    """Return 16-bit stems, float32 ``(2, samples)``, with rests and nothing above ``cutoff`` Hz.

    Only the noise of rounding to 16 bits is above the cutoff, as in stems decoded from AAC.
    """
    generator = torch.Generator().manual_seed(seed)
    samples = round(seconds * RATE)
    time = torch.arange(samples, dtype=torch.float32) / RATE

    def noise(channels: int) -> torch.Tensor:
        return torch.randn(channels, samples, generator=generator)

    def steps(low: float, high: float, length: float) -> torch.Tensor:
        """Hold one random value for each note of ``length`` seconds."""
        notes = int(seconds / length) + 2
        values = low + (high - low) * torch.rand(notes, generator=generator)
        return values[(time / length).long()]

    def tone(frequency: torch.Tensor, partials: int) -> torch.Tensor:
        phase = 2 * torch.pi * torch.cumsum(frequency.double() / RATE, 0)
        return sum(torch.sin(n * phase).float() / n for n in range(1, partials + 1))

    fade = torch.exp(-(time % 0.25) * 12)
    sung = steps(0, 1, 2.0) > 0.25
    vibrato = 1 + 0.01 * torch.sin(2 * torch.pi * 5.5 * time)
    voice = tone(steps(180, 500, 0.5) * vibrato, 20) + 0.05 * noise(1)[0]
    beats = noise(2) * fade * (steps(0, 1, 0.25) > 0.3)
    beats += torch.sin(2 * torch.pi * 60 * time) * fade
    bass = tone(steps(40, 110, 0.5), 6) * torch.exp(-(time % 0.5) * 3)
    chords = [tone(steps(200, 900, 1.0), 12) for _ in range(3)]
    made = {
        "vocals": 0.10 * sung * torch.stack([voice, 0.9 * voice + 0.05 * noise(1)[0]]),
        "drums": 0.15 * beats,
        "bass": 0.15 * torch.stack([bass, bass]) + 1e-3 * noise(2),
        "other": 0.04
        * torch.stack(
            [chords[0] + 0.4 * chords[1], 0.6 * chords[1] + chords[2] + 0.01 * noise(1)[0]]
        ),
    }
    frequencies = torch.fft.rfftfreq(samples, 1 / RATE)
    return {
        name: to_16_bits(torch.fft.irfft(torch.fft.rfft(stem) * (frequencies < cutoff), n=samples))
        for name, stem in made.items()
    }


def to_16_bits(wave: torch.Tensor) -> torch.Tensor:
    """Round to the values that 16-bit files hold."""
    return (wave * 2**15).round().clamp(-(2**15), 2**15 - 1) / 2**15


def separated(stems: dict[str, torch.Tensor], *, blur: float = 0.3) -> dict[str, torch.Tensor]:
    """Return plausible estimates: the mixture under soft masks from blurred magnitudes."""
    window = torch.hann_window(2048)
    options = {"n_fft": 2048, "hop_length": 512, "window": window}
    mixture = torch.stack(list(stems.values())).sum(0)
    mixed = torch.stft(mixture, **options, return_complex=True)
    magnitudes = {
        name: torch.stft(stem, **options, return_complex=True).abs() for name, stem in stems.items()
    }
    total = torch.stack(list(magnitudes.values())).sum(0) + 1e-9
    return {
        name: torch.istft(
            mixed * (blur / len(stems) + (1 - blur) * magnitude / total),
            **options,
            length=mixture.shape[1],
        )
        for name, magnitude in magnitudes.items()
    }
