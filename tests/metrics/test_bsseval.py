from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepbench.metrics import sdr
from sepbench.metrics.bsseval import correlation
from sepbench.metrics.bsseval.projections import CONDITION_LIMIT, Projections
from sepbench.metrics.sdr import Windows

from .signals import estimates, noise, stems

NAMES = ("ISR", "SIR", "SAR")
RATE = 900


def ours(references, made, rate=RATE, taps=64):
    windows = Windows.of_signal(references.shape[-1], rate)
    sums = [sdr.measure(*pair, windows) for pair in zip(references, made, strict=True)]
    silences = [sdr.silence(signal, windows) for signal in (*references, *made)]
    projections = Projections(list(references), references.sum(0), windows, taps=taps)
    scores = projections.score(list(made), sums)
    silent = torch.stack(silences).any(0)[:-1]
    return np.stack([scores[name].masked_fill(silent, torch.nan) for name in NAMES]), projections


def musevals(museval, references, made, rate=RATE, taps=64):
    as_museval = [x.double().numpy().transpose(0, 2, 1) for x in (references, made)]
    with np.errstate(all="ignore"):
        scores = museval.metrics.bss_eval(
            *as_museval, window=rate, hop=rate, compute_permutation=False, filters_len=taps
        )
    return np.stack(scores[1:4])


def assert_equal_scores(mine, theirs, *, atol=1e-4, below=60.0):
    """Compare masks, and values below the level where museval reports its own rounding."""
    np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
    np.testing.assert_array_equal(np.isinf(mine), np.isinf(theirs))
    known = theirs < below
    np.testing.assert_allclose(mine[known], theirs[known], rtol=0, atol=atol)


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(1, 5),
    channels=st.integers(1, 2),
    samples=st.integers(100, 3000),
    rate=st.integers(40, 900),
    taps=st.sampled_from([4, 32, 64]),
    gain=st.sampled_from([1e-3, 0.5, 1.0, 30.0]),
    silences=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), max_size=3),
    seed=st.integers(0, 1000),
)
def test_windows_equal_musevals(
    museval, count, channels, samples, rate, taps, gain, silences, seed
):
    references = stems(count, channels, samples, seed=seed)
    made = gain * estimates(references, seed=seed)
    for stem, window, of_estimate in silences:
        hole = slice(window * rate, min((window + 1) * rate, samples - 1))
        (made if of_estimate else references)[stem % count, :, hole] = 0
    mine, projections = ours(references, made, rate, taps)
    if projections.condition < CONDITION_LIMIT:
        assert_equal_scores(mine, musevals(museval, references, made, rate, taps))
    else:
        theirs = musevals(museval, references, made, rate, taps)
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))


@pytest.mark.slow
def test_the_published_filters_of_512_taps(museval):
    references = stems(2, 2, 9000, seed=1)
    made = estimates(references, seed=1)
    mine, _ = ours(references, made, 4000, 512)
    assert_equal_scores(mine, musevals(museval, references, made, 4000, 512), atol=1e-8)


def with_copies():
    base = stems(3, 2, 5 * RATE, seed=2)
    cases = {}
    cases["mono as stereo"] = base.clone()
    cases["mono as stereo"][:, 1] = base[:, 0]
    cases["identical sources"] = base.clone()
    cases["identical sources"][1] = base[0]
    cases["nearly identical sources"] = base.clone()
    cases["nearly identical sources"][1] = base[0] + noise(2, 5 * RATE, seed=3, level=2**-15)
    cases["one stem the sum of others"] = base.clone()
    cases["one stem the sum of others"][2] = base[0] + base[1]
    cases["a source at half the level"] = base.clone()
    cases["a source at half the level"][1] = base[0] / 2
    cases["a silent channel"] = base.clone()
    cases["a silent channel"][1, 1] = 0
    cases["nearly antiphase stereo"] = base.clone()
    cases["nearly antiphase stereo"][1, 1] = noise(5 * RATE, seed=4, level=1e-3) - base[1, 0]
    return cases


@pytest.mark.parametrize(("case", "references"), with_copies().items())
def test_sources_that_are_alike_score_as_in_museval(museval, case, references):
    made = estimates(references, seed=5)
    mine, _ = ours(references, made)
    assert_equal_scores(mine, musevals(museval, references, made), atol=2e-6)


def test_a_source_that_is_another_delayed_has_one_answer():
    # Here museval gives scores that differ by 12 dB with the order of the stems.
    references = stems(3, 2, 5 * RATE, seed=6)
    references[1] = torch.nn.functional.pad(references[0, :, :-5], (5, 0))
    made = estimates(references, seed=6)
    mine, projections = ours(references, made)
    turned, _ = ours(references.flip(0), made.flip(0))
    assert projections.condition == math.inf
    np.testing.assert_allclose(turned[:, ::-1], mine, rtol=0, atol=1e-3)


def test_ill_conditioned_references_are_reported():
    references = stems(2, 1, 5 * RATE, seed=7).double()
    spectra = torch.fft.rfft(references)
    spectra[..., spectra.shape[-1] // 2 :] = 0
    smooth = torch.fft.irfft(spectra, n=5 * RATE) * torch.hann_window(5 * RATE).double()
    made = estimates(smooth, seed=7)
    assert ours(smooth, made)[1].condition > CONDITION_LIMIT
    in_16_bits = (smooth * 2**15).round() / 2**15
    assert ours(in_16_bits, made)[1].condition < 1e10


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_a_perfect_estimate_is_finite_where_museval_is(museval, gain):
    references = stems(3, 2, 3 * RATE, seed=8)
    mine, _ = ours(references, gain * references)
    assert_equal_scores(mine, musevals(museval, references, gain * references))
    assert mine[1:].min() > 120


def test_a_single_stem_has_no_interference(museval):
    references = stems(1, 2, 3 * RATE, seed=9)
    made = estimates(references, seed=9)
    mine, _ = ours(references, made)
    assert np.isinf(mine[1]).all()
    assert_equal_scores(mine, musevals(museval, references, made))


def test_a_song_shorter_than_the_filters(museval):
    references = stems(2, 1, 50, seed=10)
    made = estimates(references, seed=10)
    assert_equal_scores(ours(references, made)[0], musevals(museval, references, made))


def test_a_silent_reference_leaves_the_others_as_if_it_were_not_there():
    references = stems(3, 2, 3 * RATE, seed=11)
    references[1] = 0
    made = estimates(references, seed=11)
    windows = Windows.of_signal(3 * RATE, RATE)

    def scores(chosen):
        sums = [sdr.measure(references[k], made[k], windows) for k in chosen]
        projections = Projections(references[chosen].unbind(), references.sum(0), windows, taps=64)
        return projections.score(made[chosen].unbind(), sums)

    three, two = scores([0, 1, 2]), scores([0, 2])
    for name in NAMES:
        torch.testing.assert_close(three[name][[0, 2]], two[name], rtol=0, atol=1e-9)
    silence = Projections(
        [torch.zeros(1, RATE)], torch.zeros(1, RATE), Windows.of_signal(RATE, RATE)
    )
    nothing = sdr.measure(torch.zeros(1, RATE), made[0, :1, :RATE], Windows.of_signal(RATE, RATE))
    assert silence.score([made[0, :1, :RATE]], [nothing])["SIR"].isnan().all()


def test_the_mixture_scores_as_if_it_were_every_estimate():
    references = stems(3, 2, 3 * RATE, seed=12)
    windows = Windows.of_signal(3 * RATE, RATE)
    mixture = references.sum(0) + noise(2, 3 * RATE, seed=13, level=0.02)
    sums = [sdr.measure(reference, mixture, windows) for reference in references]
    projections = Projections(list(references), mixture, windows, taps=64)
    as_estimates = projections.score([mixture] * 3, sums)
    for name, scores in projections.score_mixture(sums).items():
        torch.testing.assert_close(scores, as_estimates[name], rtol=0, atol=1e-9)


def test_estimates_that_are_the_same_score_as_if_they_were_not():
    references = stems(3, 2, 3 * RATE, seed=21)
    made = estimates(references, seed=21)
    made[2] = made[0]
    alike, _ = ours(references, made)
    # A change far below the scores' last digits, which yet makes the estimates differ.
    made[2, 0, 0] += 1e-7
    differing, _ = ours(references, made)
    np.testing.assert_allclose(alike, differing, rtol=0, atol=1e-5)


def test_memory_bounds_do_not_show(monkeypatch):
    references = stems(2, 2, 40 * 60 + 20, seed=14)
    made = estimates(references, seed=14)
    kept, _ = ours(references, made, rate=60, taps=16)
    monkeypatch.setattr(correlation, "_CHUNK", {"cpu": 2**16})
    np.testing.assert_allclose(ours(references, made, rate=60, taps=16)[0], kept, atol=1e-9)


def test_methods_together_take_one_walk_over_a_song_however_long(monkeypatch):
    references = stems(2, 2, 600 * 60, seed=14)  # Ten minutes, at a low rate.
    made = estimates(references, seed=14)
    windows = sdr.Windows.of_signal(references.shape[-1], 60)
    sums = [sdr.measure(*pair, windows) for pair in zip(references, made, strict=True)]
    fitted = Projections(list(references), references.sum(0), windows, taps=4)
    walked = []
    walk = correlation._Walk.windows
    monkeypatch.setattr(correlation._Walk, "windows", lambda self: walked.append(1) or walk(self))
    fitted.score_methods([list(made)] * 3, [sums] * 3)
    fitted.score_mixture(sums)
    assert len(walked) == 1


def test_each_score_hears_its_own_error():
    references = stems(3, 2, 4 * RATE, seed=15)
    clean = references + 0.05 * noise(*references.shape, seed=16)
    base = ours(references, clean)[0].min(-1).min(-1)
    filtered = clean.clone()
    filtered[..., 2:] += 0.5 * references[..., :-2]
    leaking = clean + 0.3 * references.roll(1, 0)
    noisy = clean + noise(*references.shape, seed=17, level=0.05)
    isr, sir, sar = (
        ours(references, made)[0].max(-1).max(-1) for made in (filtered, leaking, noisy)
    )
    assert isr[0] < base[0] - 10
    assert isr[2] > base[2] - 1
    assert sir[1] < base[1] - 10
    assert sar[2] < base[2] - 10


@pytest.mark.parametrize("score", ["SIR", "SAR"])
def test_the_level_of_an_estimate_does_not_matter_to_sir_and_sar(score):
    references = stems(3, 2, 3 * RATE, seed=18)
    made = estimates(references, seed=18)
    place = NAMES.index(score)
    expected = ours(references, made)[0][place]
    for gain in (1e-4, 0.1, 50.0):
        np.testing.assert_allclose(ours(references, gain * made)[0][place], expected, atol=1e-4)
    assert np.abs(ours(references, 0.1 * made)[0][0] - ours(references, made)[0][0]).min() > 1


def test_more_noise_lowers_sar():
    references = stems(2, 1, 3 * RATE, seed=19)
    disturbance = noise(*references.shape, seed=20)
    scores = [ours(references, references + k * disturbance)[0][2] for k in (0.01, 0.1, 1.0)]
    assert (scores[0] > scores[1]).all()
    assert (scores[1] > scores[2]).all()
