from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sepbench.datasets.simulated import STEMS, Simulated, simulate
from sepbench.errors import SepbenchError

RATE = 22050


def decibels(samples: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.square(samples, dtype=np.float64).mean()))


@pytest.fixture(scope="module")
def songs() -> list[dict[str, NDArray[np.float32]]]:
    return [simulate((0, number), 24, rate=RATE) for number in range(6)]


def test_the_same_seed_gives_the_same_samples_and_another_seed_another_song() -> None:
    first, again, other = (simulate((seed,), 3, rate=RATE) for seed in (1, 1, 2))
    for name in STEMS:
        assert np.array_equal(first[name], again[name])
    assert not np.array_equal(first["bass"], other["bass"])


def test_a_longer_song_begins_like_a_shorter_one() -> None:
    short, long = simulate((3,), 4.1, rate=RATE), simulate((3,), 11, rate=RATE)
    for name in STEMS:
        assert np.array_equal(short[name], long[name][:, : short[name].shape[1]])


def test_mixture_is_the_exact_sum_and_fits_16_bit() -> None:
    (track, *_) = Simulated(seconds=8).tracks()
    audio = track.load()
    assert audio.mixture.shape == (2, 8 * 44100)
    total = np.sum([audio.references[name] for name in reversed(STEMS)], axis=0)
    assert np.array_equal(audio.mixture, total)
    assert np.array_equal(audio.mixture * 32768, np.rint(audio.mixture * 32768))
    assert np.abs(audio.mixture).max() < 1


@pytest.mark.slow
def test_levels_are_those_of_pop(songs: list[dict[str, NDArray[np.float32]]]) -> None:
    for stems in songs:
        mixture = np.sum(list(stems.values()), axis=0)
        assert 0.2 < np.abs(mixture).max() < 1
        assert -26 < decibels(mixture) < -14
        assert -6.5 < decibels(stems["vocals"]) - decibels(mixture - stems["vocals"]) < 0


@pytest.mark.slow
def test_the_singer_rests_and_the_band_does_not(
    songs: list[dict[str, NDArray[np.float32]]],
) -> None:
    for stems in songs:
        windows = np.abs(stems["vocals"]).max(axis=0).reshape(-1, RATE // 5).max(axis=1) > 0
        assert 0.1 < 1 - windows.mean() < 0.6
        backing = sum(stem for name, stem in stems.items() if name != "vocals")
        assert (np.abs(backing).max(axis=0).reshape(-1, RATE).max(axis=1) > 0.01).all()


@pytest.mark.slow
def test_the_band_repeats_itself_and_the_singer_does_not(
    songs: list[dict[str, NDArray[np.float32]]],
) -> None:
    def repetition(stem: NDArray[np.float32]) -> float:
        """Return the highest correlation with itself from three seconds on."""
        mono = stem.mean(axis=0)
        power = np.abs(np.fft.rfft(mono, 2 * len(mono))) ** 2
        lags = np.fft.irfft(power)[: len(mono) * 3 // 4]
        return float(lags[3 * RATE :].max() / lags[0])

    for stems in songs:
        band = np.mean([repetition(stems[name]) for name in ("drums", "bass", "other")])
        assert band > 2 * repetition(stems["vocals"])


@pytest.mark.slow
def test_stems_are_at_the_frequencies_of_their_instruments(
    songs: list[dict[str, NDArray[np.float32]]],
) -> None:
    bins = np.fft.rfftfreq(24 * RATE, 1 / RATE)
    for stems in songs:
        power = {n: np.abs(np.fft.rfft(stem.mean(axis=0))) ** 2 for n, stem in stems.items()}
        centre = {n: np.average(bins, weights=spectrum) for n, spectrum in power.items()}
        assert centre["bass"] < 300 < centre["vocals"] < 3000
        assert power["drums"][bins > 6000].sum() > 10 * power["bass"][bins > 6000].sum()


def test_it_is_stereo(songs: list[dict[str, NDArray[np.float32]]]) -> None:
    for stems in songs:
        for name in ("vocals", "drums", "other"):
            assert not np.array_equal(stems[name][0], stems[name][1])


def test_a_span_is_a_piece_of_the_song() -> None:
    (track, *_) = Simulated(count=1, seconds=6, rate=RATE).tracks()
    whole, span = track.load(), track.load(start=1.5, duration=2)
    assert np.array_equal(span.mixture, whole.mixture[:, 33075 : 33075 + 44100])
    assert track.load(start=5, duration=9).mixture.shape == (2, RATE)
    with pytest.raises(SepbenchError, match=r"cannot start at 6 s; it is 6 s long"):
        track.load(start=6)


def test_the_digest_changes_with_all_that_changes_the_samples() -> None:
    def digest(**parameters: int) -> str:
        return Simulated(**{"count": 1, **parameters}).tracks()[0].digest()

    digests = [digest(), digest(seed=1), digest(rate=RATE), digest(seconds=9)]
    track = Simulated().tracks()[0]
    digests += [track.digest(start=1), track.digest(duration=3), Simulated().tracks()[1].digest()]
    assert len(set(digests)) == len(digests)
    assert digest() == digest(count=4) == track.digest()


def test_every_subset_has_songs_of_its_own() -> None:
    tracks = Simulated(count=2).tracks("all")
    assert len({track.name for track in tracks}) == 6
    assert len({track.digest() for track in tracks}) == 6
    assert [track.name for track in Simulated().tracks()] == [
        f"simulated-00{number}" for number in range(4)
    ]


@pytest.mark.parametrize(("seconds", "rate"), [(0.00001, 44100), (0.5, 8000), (1, 96000)])
def test_any_length_and_rate(seconds: float, rate: int) -> None:
    stems = simulate((5,), seconds, rate=rate)
    assert {stem.shape for stem in stems.values()} == {(2, max(1, round(seconds * rate)))}
    assert all(np.isfinite(stem).all() for stem in stems.values())
