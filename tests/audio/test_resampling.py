"""Resampling keeps what fits into both rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from songs import tone, white

from sepbench import audio

RATE = 44100


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000, 96000])
def test_there_and_back_keeps_tone_and_length(rate: int) -> None:
    samples = tone((1000, 700), 1 + 17 / RATE, level=0.5)
    there = audio.resample(samples, RATE, rate)
    assert there.shape == (2, audio.resampled_length(samples.shape[1], RATE, rate))
    inside = slice(2000, -2000)
    wanted = tone((1000, 700), there.shape[1] / rate, rate, level=0.5)
    assert np.abs(there - wanted)[:, inside].max() < 1e-5
    back = audio.resample(there, rate, RATE)
    assert abs(back.shape[1] - samples.shape[1]) <= RATE / rate
    assert np.abs(back[:, : samples.shape[1]] - samples[:, : back.shape[1]])[:, inside].max() < 1e-5


def test_a_tone_above_the_new_band_is_gone() -> None:
    there = audio.resample(tone(9000), RATE, 16000)
    assert np.abs(there[:, 1000:-1000]).max() < 1e-4


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([16000, 48000, 8000]))
def test_chunks_do_not_change_the_result(samples: int, size: int, rate: int) -> None:
    song = white(2, samples)
    resampler = audio.StreamResampler(RATE, rate)
    pieces = [resampler.process(song[:, at : at + size]) for at in range(0, samples, size)]
    joined = np.concatenate([*pieces, resampler.finish()], axis=1)
    assert joined.shape[1] == audio.resampled_length(samples, RATE, rate) > 0
    assert np.array_equal(joined, audio.resample(song, RATE, rate))
