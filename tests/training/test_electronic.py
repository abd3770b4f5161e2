from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from sepbench.training import augment, electronic
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.examples import Examples
from sepbench.training.mix_config import MixConfig

RATE = 8000
TIME = np.arange(4 * RATE) / RATE
GLIDE = np.sin(2 * np.pi * (200 * TIME + 100 * TIME**2)).astype(np.float32)
"""A tone that rises from 200 to 1000 Hz."""


def _range(signal: augment.Signal) -> float:
    """Return the difference of the highest and the lowest loudest frequency of 0.25 s, in Hz."""
    blocks = signal[: 16 * 2000].reshape(16, 2000)
    loud = np.square(blocks).mean(1) > 0.1 * np.square(blocks).mean(1).max()
    peaks = np.abs(np.fft.rfft(blocks * np.hanning(2000))).argmax(1)[loud] * RATE / 2000
    return float(np.ptp(peaks))


def test_a_chopped_glide_stays_where_its_piece_was() -> None:
    assert _range(GLIDE) > 700
    for seed in range(20):
        chopped = electronic.chop(GLIDE, default_rng(seed), RATE)
        assert chopped.dtype == np.float32
        assert chopped.shape == GLIDE.shape
        # The longest piece, 0.4 s, rises by 80 Hz.
        assert _range(chopped) <= 100


def test_chops_have_a_rhythm() -> None:
    tone = np.sin(2 * np.pi * 440 * TIME).astype(np.float32)
    levels = [
        np.sqrt(np.square(electronic.chop(tone, default_rng(seed), RATE)).reshape(160, -1).mean(1))
        for seed in range(20)
    ]
    assert sum(level.min() < 0.5 * level.max() for level in levels) >= 18


@pytest.mark.parametrize("effect", [electronic.chop, electronic.vocode])
def test_silence_stays_silence(effect: Callable[..., augment.Signal]) -> None:
    assert not effect(np.zeros(RATE, np.float32), default_rng(0), RATE).any()


def test_a_vocoder_speaks_when_and_where_the_voice_does() -> None:
    high = np.where(TIME < 2, np.sin(2 * np.pi * 2000 * TIME), 0).astype(np.float32)
    for seed in range(5):
        out = electronic.vocode(high, default_rng(seed), RATE)
        assert out.shape == high.shape
        assert augment.rms(out[2 * RATE + 500 :]) < 1e-3 * augment.rms(out[: 2 * RATE])
        power = np.square(np.abs(np.fft.rfft(out[: 2 * RATE])))
        near = slice(2 * 1700, 2 * 2300)  # bins of 0.5 Hz
        assert power[near].sum() > 0.9 * power.sum()
        assert augment.rms(out[:RATE]) == pytest.approx(augment.rms(high[:RATE]), rel=0.5)


def test_examples_have_effects_only_where_the_config_says(dataset: PreparedDataset) -> None:
    def first(**fields: Any) -> dict[str, torch.Tensor]:
        mixing = dataclasses.replace(MixConfig(seconds=1.0, no_voice=0, no_backing=0), **fields)
        return Examples(dataset.split("train"), mixing, seed=7, count=10)[3]

    plain = first()
    for name, stem in (
        ("voice_chops", "vocals"),
        ("voice_vocoder", "vocals"),
        ("backing_chops", "accompaniment"),
    ):
        changed = first(**{name: 1.0})[stem]
        assert changed.isfinite().all()
        assert not torch.equal(changed, plain[stem])
        assert torch.equal(first(**{name: 0.0})[stem], plain[stem])
