"""Compare rules for masks above the band that their networks were trained on.

    python benchmarks/bandwidth.py CORPUS -m unet -m blstm [--level -3] [--treble 0]

Uses songs at 44.1 kHz with single instruments and a voice, except those of split ``test``. The rule
in `sepbench.training.bandwidth`, the last but one of each table, was chosen on these songs. Each
row gives, as means over songs in dB, the SDR of the whole song and of the median second, and the
energy of the error above `EDGE` relative to that of the voice there (0 dB: the voice gets nothing).
``--treble`` raises mixture and stems above 5 kHz, as in mastered songs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from learned import clips
from torch.nn import functional

from sepbench import audio, registry
from sepbench.training.bandwidth import EDGE, extend, slope
from sepbench.training.data.discover import find_tracks
from sepbench.training.learned_mask import LearnedMask

RATE = 44_100


def main() -> None:
    """Print a table for every method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-m", "--method", action="append", required=True)
    parser.add_argument("--level", type=float, default=-3, help="Voice over backing, dB.")
    parser.add_argument("--treble", type=float, default=0, help="Gain above 5 kHz, dB.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for method in registry.resolve_all(given.method):
        separator = method.create()
        separator.load(torch.device("cpu"))
        assert isinstance(separator, LearnedMask)
        rows: dict[str, list[tuple[float, ...]]] = {}
        for voice, backing in songs(given.corpus, separator, given.level, given.treble):
            for name, scores in judge(separator, voice, backing).items():
                rows.setdefault(name, []).append(scores)
        print(f"{method.label}, {len(rows['nothing'])} songs", flush=True)
        for name, values in rows.items():
            song, second, above = np.mean(values, axis=0)
            print(f"  {name:28} {song:6.2f} {second:6.2f} {above:7.2f}")


def songs(
    corpus: Path, separator: LearnedMask, level: float, treble: float
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield voice and backing ``(1, samples)`` at the separator's rate."""
    for track in find_tracks(corpus):
        if track.split == "test" or not {"vocals", "drums"} <= set(track.parts):
            continue
        for stems in clips(track, RATE):
            stems["vocals"] = stems["vocals"] * np.float32(10 ** ((level + 3) / 20))
            backing = np.sum([stem for name, stem in stems.items() if name != "vocals"], axis=0)
            rate = separator.sample_rate or RATE
            yield tuple(  # type: ignore[misc]
                brighter(torch.from_numpy(audio.resample(part, RATE, rate)), rate, treble)
                for part in (stems["vocals"], backing)
            )


def brighter(signal: torch.Tensor, rate: int, gain: float) -> torch.Tensor:
    """Raise frequencies above 5 kHz by ``gain`` dB, with a shelf filter."""
    spectrum = torch.fft.rfft(signal)
    ratio = 5000 / torch.linspace(0, rate / 2, spectrum.shape[-1]).clamp_min(1)
    shelf = 10 ** (gain / 20 / (1 + ratio**4))
    return torch.fft.irfft(spectrum * shelf, signal.shape[-1])


@torch.inference_mode()
def judge(
    separator: LearnedMask, voice: torch.Tensor, backing: torch.Tensor
) -> dict[str, tuple[float, ...]]:
    """Return the three figures of every rule, computed in the transform."""
    stft, model = separator._stft(), separator._model
    sung = stft.forward(voice)
    mixture = sung + stft.forward(backing)
    rows = mixture.shape[-2]
    seen = mixture[:, : model.bins] * model.stft.n_fft / stft.n_fft
    places = separator._frequencies()
    mask = separator.predict(seen * slope(places)[:, None])
    full = separator.predict(seen)
    own, octave = mask[:, places < EDGE], extend(mask, seen.abs(), places, rows)
    end = own.shape[-2]

    def then(change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return torch.cat([own, change(octave[:, end:])], dim=1)

    def top(of: torch.Tensor) -> torch.Tensor:
        mean = of[:, -(model.bins // 16) :].mean(1, keepdim=True)
        return torch.cat([of, mean.expand(-1, rows - model.bins, -1)], dim=1)

    inner = (mixture.conj() * sung).real[:, end:].sum(1, keepdim=True)
    power = mixture[:, end:].abs().square().sum(1, keepdim=True)
    best = (inner / power.clamp_min(1e-12)).clamp(0, 1)
    masks = {
        "full level, top sixteenth": top(full),
        "full level, nothing above": functional.pad(full, (0, 0, 0, rows - model.bins)),
        "top sixteenth": top(mask),
        "nothing": then(torch.zeros_like),
        "squared": then(torch.square),
        "odds 3 dB lower": then(lambda t: t / (t + 2 * (1 - t))),
        "odds 6 dB lower": then(lambda t: t / (t + 4 * (1 - t))),
        "mean over 7 frames": then(lambda t: functional.avg_pool1d(t, 7, 1, 3)),
        "octave below": octave,
        "best there is": then(lambda t: best.expand_as(t)),
    }
    second = round((separator.sample_rate or RATE) / stft.hop)
    truth = seconds(sung, second)
    clear = truth > 1e-3 * truth.max()
    scores = {}
    for name, share in masks.items():
        error = sung - share * mixture
        wrong = seconds(error, second)
        above = decibels(
            seconds(error[:, end:], second).sum(), seconds(sung[:, end:], second).sum()
        )
        median = decibels(truth[clear], wrong[clear]).median()
        scores[name] = (float(decibels(truth.sum(), wrong.sum())), float(median), float(above))
    return scores


def seconds(spectrum: torch.Tensor, frames: int) -> torch.Tensor:
    """Return the energy of each second."""
    energy = spectrum.abs().square().sum((0, 1))
    return energy[: len(energy) // frames * frames].view(-1, frames).sum(1)


def decibels(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Return a ratio of energies in dB."""
    return 10 * torch.log10(ours / theirs)


if __name__ == "__main__":
    main()
