"""What each bundled metric gives, by its reference implementation, and what moves it."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from sepbench.metrics import golden, peaq, spectra
from sepbench.metrics.bundled import levels, perceptual, signal_ratios, spectral
from sepbench.metrics.metric import Estimates, Song
from sepbench.metrics.scorer import TrackScorer
from sepbench.registry.metrics import metrics, resolve_metrics

RATE = 44100
BUNDLED = [
    info.metric
    for info in metrics()
    # The others are held to true and false frames in tests of their own.
    if info.name not in ("activity", "leakage")
]


@pytest.mark.slow
@pytest.mark.parametrize("metric", BUNDLED, ids=lambda metric: metric.name)
def test_golden_values(metric):
    assert metric.golden
    for values in metric.golden:
        assert golden.differences(metric, values) == {}


def music(seconds=2.0, seed=0):
    """Stereo noise with a falling spectrum."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft(torch.randn(2, int(seconds * RATE), generator=generator))
    frequencies = torch.linspace(0, RATE / 2, spectrum.shape[1])
    return torch.fft.irfft(spectrum / (1 + frequencies / 1000), n=int(seconds * RATE))


def score(name, reference, estimate, rate=RATE):
    """Return the first score of a metric for one stem among two."""
    rest = music(reference.shape[1] / RATE, seed=9)
    references = {"vocals": reference, "accompaniment": rest}
    scorer = TrackScorer(references, reference + rest, rate, metrics=resolve_metrics([name]))
    made = {"vocals": estimate, "accompaniment": reference + rest - estimate}
    found = scorer.score(made, targets=tuple(references))["vocals"]
    assert found.notes == () or name == "silence"
    (metric,) = [metric for metric in scorer.metrics if metric.name == name]
    return found.totals[metric.id_of(metric.totals[0])]


DISTANCES = ["mrstft-gensvs", "mrstft-msst", "l1-freq", "k-sdr", "log-wmse-1.1", "2f-model"]


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTANCES)
def test_more_noise_is_worse(name):
    reference, noise = music(), music(seed=1)
    (metric,) = [metric for metric in BUNDLED if metric.name == name]
    goodness = 1 if metric.higher_is_better else -1
    scores = [goodness * score(name, reference, reference + k * noise) for k in (0.4, 0.8, 1.6)]
    assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("mrstft-gensvs", 0.0),
        ("mrstft-msst", 100.0),
        ("l1-freq", 100.0),
        ("bleedless", 100.0),
        ("fullness", 100.0),
        ("k-sdr", 100.0),
        ("log-wmse-1.1", -4 * math.log(1e-8)),
        ("loudness", 0.0),
        ("level", 0.0),
    ],
)
def test_a_perfect_estimate_has_the_best_score(name, best):
    reference = music()
    assert score(name, reference, reference) == pytest.approx(best, abs=1e-3)


def test_a_gain_moves_levels_by_itself():
    reference = music()
    assert score("loudness", reference, 0.5 * reference) == pytest.approx(-6.0206, abs=1e-3)
    song = Song({"vocals": reference}, reference, RATE)
    level = levels.Level().score_set(song, Estimates({"vocals": 2 * reference}))["level"]
    assert float(level) == pytest.approx(6.0206, abs=1e-3)


def test_what_is_too_much_costs_bleedless_and_what_is_missing_fullness():
    reference = music()
    louder, softer = 2 * reference, 0.5 * reference
    assert score("fullness", reference, louder) == pytest.approx(100)
    assert score("bleedless", reference, louder) == pytest.approx(100 / (1 + 6.0206), abs=1e-2)
    assert score("bleedless", reference, softer) == pytest.approx(100)
    assert score("fullness", reference, softer) == pytest.approx(100 / (1 + 6.0206), abs=1e-2)


def test_a_delay_hardly_moves_magnitudes_and_ruins_the_waveform():
    reference = music()
    delayed = torch.nn.functional.pad(reference, (8, 0))[:, :-8]
    assert score("mrstft-gensvs", reference, delayed) < 0.2
    assert score("k-sdr", reference, delayed) < 90
    assert score("2f-model", reference, delayed) > 60


def test_a_band_that_is_dropped_is_heard_by_all_but_least_by_the_waveform():
    reference = music()
    spectrum = torch.fft.rfft(reference)
    spectrum[:, spectrum.shape[1] // 3 :] = 0  # Above 7.35 kHz, where little energy is.
    dull = torch.fft.irfft(spectrum, n=reference.shape[1])
    assert score("k-sdr", reference, dull) > 99.9
    assert score("fullness", reference, dull) < 20
    assert score("mrstft-gensvs", reference, dull) > 1
    assert score("2f-model", reference, dull) < 60


def test_energy_in_silence_is_measured_in_db_below_the_mixture():
    reference = music(3.0)
    reference[:, :RATE] = 0
    rest = music(3.0, seed=9)
    leaking = reference + 0.1 * rest
    song = Song({"vocals": reference}, reference + rest, RATE)
    scores = levels.Silence().score_set(song, Estimates({"vocals": leaking}))
    assert float(scores["leak"]) == pytest.approx(-20, abs=1e-6)
    assert scores["loss"].isnan().all()
    muted = leaking.clone()
    muted[:, 2 * RATE :] = 0
    scores = levels.Silence().score_set(song, Estimates({"vocals": muted}))
    assert -20 < float(scores["loss"]) < 3


def test_silence_gives_scores_or_none_as_declared():
    silent, sound = torch.zeros(2, RATE), music(1.0)
    for name in ("mrstft-gensvs", "mrstft-msst", "l1-freq", "bleedless", "fullness"):
        assert math.isfinite(score_silent(name, silent, sound))
        assert math.isfinite(score_silent(name, sound, silent))
    assert score_silent("log-wmse-1.1", silent, silent) == pytest.approx(73.68, abs=0.01)
    assert math.isnan(score_silent("loudness", silent, sound))
    assert math.isnan(score_silent("2f-model", silent, sound))


def score_silent(name, reference, estimate):
    (metric,) = [metric for metric in resolve_metrics([name]) if metric.name == name]
    if metric.sample_rate == 48000:
        reference, estimate = reference[:, :-5], estimate[:, :-5]
    song = Song({"vocals": reference}, reference + music(1.0)[:, : reference.shape[1]], RATE)
    return float(metric.score_set(song, Estimates({"vocals": estimate}))[metric.totals[0]])


@pytest.mark.parametrize("name", ["spectral", "perceptual", "loudness", "silence", "k-sdr"])
def test_together_methods_score_as_alone(name):
    reference, rest = music(1.0), music(1.0, seed=9)
    references = {"vocals": reference, "accompaniment": rest}
    methods = [
        {stem: wave + k * music(1.0, seed=seed) for seed, (stem, wave) in enumerate(pairs, 3)}
        for k, pairs in ((0.1, references.items()), (0.5, references.items()))
    ]
    metrics = resolve_metrics([name])
    together = TrackScorer(references, reference + rest, RATE, metrics=metrics)
    alone = TrackScorer(references, reference + rest, RATE, metrics=metrics)
    targets = tuple(references)
    for found, made in zip(together.score_methods(methods, targets=targets), methods, strict=True):
        expected = alone.score(made, targets=targets)
        for stem in targets:
            assert found[stem].totals == pytest.approx(expected[stem].totals, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_every_rate_has_scores_or_a_reason(rate):
    reference = music(1.0)[:, :rate]
    for name in ("mrstft-msst", "fullness", "log-wmse-1.1", "2f-model"):
        assert math.isfinite(score(name, reference, 0.9 * reference, rate))


def test_signals_of_a_moment_have_scores_or_none():
    reference, rest = music(0.01), music(0.01, seed=9)
    references = {"vocals": reference, "accompaniment": rest}
    scorer = TrackScorer(references, reference + rest, RATE, metrics=resolve_metrics(["all"]))
    found = scorer.score({stem: 0.9 * x for stem, x in references.items()}, targets=("vocals",))
    assert math.isfinite(found["vocals"].totals["k-sdr"])


@pytest.mark.slow
def test_multi_resolution_distances_equal_aurolosses():
    from auraloss.freq import MultiResolutionSTFTLoss

    reference, estimate = music(3.0), music(3.0) + 0.3 * music(3.0, seed=1)
    sizes = [256, 512, 1024, 2048, 4096]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        linear = MultiResolutionSTFTLoss(
            sizes, [n // 4 for n in sizes], sizes, sample_rate=RATE, perceptual_weighting=True
        )
        mels = MultiResolutionSTFTLoss(
            *([1024, 2048, 4096], [256, 512, 1024], [1024, 2048, 4096]),
            sample_rate=RATE,
            perceptual_weighting=True,
            scale="mel",
            n_bins=128,
        )
        by_channel = [
            float(linear(estimate[c][None, None], reference[c][None, None])) for c in (0, 1)
        ]
        expected = 100 / (1 + 10 * float(mels(reference[None], estimate[None])))
    assert score("mrstft-gensvs", reference, estimate) == pytest.approx(
        np.mean(by_channel), rel=1e-4
    )
    assert score("mrstft-msst", reference, estimate) == pytest.approx(expected, rel=1e-4)


def test_the_weighting_filter_has_the_a_curve():
    response = torch.fft.rfft(spectra.a_weighting(RATE), n=RATE).abs()
    for hz, decibels in ((1000, 0.0), (4000, 1.0), (10000, -2.5)):  # IEC 61672
        assert 20 * math.log10(response[hz]) == pytest.approx(decibels, abs=2.0)


def test_the_ear_model_hears_nothing_where_nothing_differs():
    signal = music(1.0)
    difference, blocks = peaq.two_variables(signal, signal)
    assert difference == pytest.approx(0, abs=1e-12)
    assert blocks == 0
    assert perceptual.TwoF().score(signal, signal, signal, 48000)["2f-model"] == 100


def test_the_transforms_of_both_configurations_are_made_once(monkeypatch):
    made = []
    real = spectra.multi_resolution
    monkeypatch.setattr(
        spectra,
        "multi_resolution",
        lambda *given, **how: made.append(given[3]) or real(*given, **how),
    )
    song, estimates = golden.song()
    spectral.MultiResolutionGensvs().score_set(song, estimates)
    spectral.MultiResolutionMsst().score_set(song, estimates)
    assert sorted(made) == sorted(2 * list(spectra.RESOLUTIONS))


def test_sums_of_energies_are_made_once(monkeypatch):
    from sepbench.metrics import sdr

    made = []
    real = sdr.measure
    monkeypatch.setattr(sdr, "measure", lambda *given: made.append(1) or real(*given))
    song, estimates = golden.song()
    for metric in (signal_ratios.Sdr, signal_ratios.BssEval, signal_ratios.KSdr):
        metric().score_set(song, estimates)
    assert len(made) == 2
