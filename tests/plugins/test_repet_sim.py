from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch
from songs import RATE, noise, repeating_song, sdr

from sepbench_plugins.repet_sim import RepetSim
from sepbench_plugins.repet_sim.similarity import nearest_frames, repeating_frames

SONG = repeating_song(6.0)
MIXTURE = sum(SONG.values())
BACKING = MIXTURE - SONG["vocals"]


def background(mixture: torch.Tensor, **options) -> torch.Tensor:
    return RepetSim(RepetSim.Options(**options)).separate(mixture)["accompaniment"]


def published(mixture: np.ndarray, *, distance: float, number: int) -> np.ndarray:
    """The background as the paper and its authors' code define it, one frame after the other."""
    length, eps = 2048, np.finfo(float).eps
    hop = length // 2
    samples = mixture.shape[1]
    window = np.hamming(length + 1)[:-1]
    total = math.ceil(samples / hop) + 1
    padded = np.pad(mixture, ((0, 0), (hop, total * hop)))
    starts = [t * hop for t in range(total)]
    spectra = [
        np.array([np.fft.rfft(window * channel[s : s + length]) for s in starts])
        for channel in padded
    ]
    mean = np.mean(np.abs(spectra), axis=0)
    unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    similarity, apart = unit @ unit.T, round(distance * RATE / hop)
    neighbours = []
    for row in similarity:
        peaks = [
            t
            for t in range(total)
            if all(row[t] > row[max(t - apart, 0) : t]) and all(row[t] > row[t + 1 : t + apart + 1])
        ]
        neighbours.append(sorted(peaks, key=lambda t: -row[t])[:number])
    result = np.zeros_like(padded)
    for channel, spectrum in enumerate(spectra):
        magnitude = np.abs(spectrum)
        model = np.array([np.median(magnitude[frames], axis=0) for frames in neighbours])
        mask = (np.minimum(model, magnitude) + eps) / (magnitude + eps)
        mask[:, 1 : round(100 * length / RATE) + 1] = 1.0
        for start, frame in zip(starts, np.fft.irfft(mask * spectrum), strict=True):
            result[channel, start : start + length] += frame
    return result[:, hop : hop + samples] / window[::hop].sum()


@pytest.mark.parametrize(("distance", "number"), [(1.0, 100), (0.2, 4)])
def test_background_is_that_of_the_definition(distance, number):
    mixture = MIXTURE[:, : 3 * RATE]
    expected = published(mixture.double().numpy(), distance=distance, number=number)
    ours = background(mixture, distance=distance, number=number)
    assert sdr(torch.from_numpy(expected), ours) > 60


def test_a_voice_over_a_repeating_backing_comes_free():
    vocals = MIXTURE - background(MIXTURE)
    assert sdr(SONG["vocals"], vocals) > sdr(SONG["vocals"], MIXTURE) + 7
    assert sdr(BACKING, MIXTURE - vocals) > sdr(BACKING, MIXTURE) + 0.5


def test_a_song_that_repeats_exactly_is_all_background():
    assert sdr(BACKING, background(BACKING, distance=0.5)) > 40


def test_below_the_cutoff_all_is_background():
    hum = 0.3 * torch.sin(2 * torch.pi * 60 * torch.arange(2 * RATE) / RATE).repeat(2, 1)
    hum[:, :RATE] = 0.0
    assert sdr(hum, background(hum, cutoff=150.0)) > 15


def test_local_maxima_are_strict_and_apart():
    # Cosines with frame 0 are 1, .6, .8, .6, .8, .8, 0: frames 4 and 5 are equal neighbours.
    angles = torch.tensor([1.0, 0.6, 0.8, 0.6, 0.8, 0.8, 0.0]).acos().double()
    spectra = torch.stack([angles.cos(), angles.sin()], dim=1)
    first = repeating_frames(spectra, distance=1, number=9, threshold=0.0)
    assert first.indices[0, : first.counts[0]].tolist() == [0, 2]
    apart = repeating_frames(spectra, distance=2, number=9, threshold=0.0)
    assert apart.indices[0, : apart.counts[0]].tolist() == [0]
    strict = repeating_frames(spectra, distance=1, number=9, threshold=0.9)
    assert strict.indices[0, : strict.counts[0]].tolist() == [0]
    fewest = repeating_frames(spectra, distance=1, number=1, threshold=0.0)
    assert fewest.indices[0].tolist() == [0]


def test_frames_like_no_other_are_their_own_background():
    lonely = repeating_frames(torch.zeros(5, 3), distance=2, number=4, threshold=0.0)
    assert lonely.indices.squeeze(1).tolist() == [0, 1, 2, 3, 4]


def test_nearest_frames_are_those_of_librosa():
    magnitudes = noise(300, 8).abs()
    ours = nearest_frames(torch.nn.functional.normalize(magnitudes), distance=20)
    theirs = librosa.segment.recurrence_matrix(
        magnitudes.T.numpy(), width=20, metric="cosine", mode="distance"
    )
    for frame in range(300):
        found = ours.indices[frame, : ours.counts[frame]].tolist()
        assert set(found) == set(np.flatnonzero(theirs[:, frame]))


@pytest.mark.slow
def test_the_gallerys_recipe_is_librosas():
    rate = 22050
    mixture = (MIXTURE[:1, ::2] + 0.01 * noise(1, MIXTURE.shape[1] // 2))[:, : 4 * rate]
    spectrum = librosa.stft(mixture[0].numpy(), n_fft=4096, win_length=1024, hop_length=256)
    magnitude = np.abs(spectrum)
    # In its mode "connectivity" librosa keeps the earliest neighbours, not the nearest.
    nearest = librosa.segment.recurrence_matrix(
        magnitude, width=86, metric="cosine", mode="distance", sparse=True
    )
    model = np.minimum(
        magnitude, librosa.decompose.nn_filter(magnitude, rec=nearest, aggregate=np.median)
    )
    masks = {
        "vocals": librosa.util.softmask(magnitude - model, 10 * model, power=2),
        "accompaniment": librosa.util.softmask(model, 2 * (magnitude - model), power=2),
    }
    separator = RepetSim(RepetSim.Options(recipe="librosa"))
    assert separator.sample_rate == rate
    ours = separator.separate(mixture)
    assert set(ours) == set(masks)
    for name, mask in masks.items():
        expected = librosa.istft(mask * spectrum, hop_length=256, win_length=1024, length=4 * rate)
        assert sdr(torch.from_numpy(expected), ours[name][0]) > 50


def test_background_is_like_nussls(nussl):
    signal = nussl.AudioSignal(audio_data_array=MIXTURE.numpy(), sample_rate=RATE)
    theirs = torch.from_numpy(nussl.separation.primitive.RepetSim(signal)()[0].audio_data)
    # It differs by design: greedy peaks, the frame itself left out, other windows.
    assert sdr(theirs, background(MIXTURE)) > 10
