from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepbench.metrics import sdr as sdr_module

from .signals import estimates, noise, stems


def sdr_of_museval(museval, references, made, rate):
    """Frames (stems, windows) of the oracle, which wants (stems, samples, channels)."""
    as_museval = [x.double().numpy().transpose(0, 2, 1) for x in (references, made)]
    with np.errstate(all="ignore"):
        return museval.metrics.bss_eval(
            *as_museval, window=rate, hop=rate, compute_permutation=False, filters_len=8
        )[0]


def sdr(references, made, rate):
    windows = sdr_module.Windows.of_signal(references.shape[-1], rate)
    sums = [sdr_module.measure(s, e, windows) for s, e in zip(references, made, strict=True)]
    silent = torch.stack(
        [one.silent for one in sums] + [sdr_module.silence(s, windows) for s in references]
    ).any(0)[:-1]
    return torch.stack([sdr_module.sdr(one) for one in sums]).masked_fill(silent, torch.nan).numpy()


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 5),
    channels=st.integers(1, 3),
    samples=st.integers(20, 400),
    rate=st.integers(20, 150),
    gain=st.sampled_from([1e-3, 0.5, 1.0, 3.0]),
    silences=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.booleans()), max_size=3),
    seed=st.integers(0, 1000),
)
def test_windows_equal_musevals(museval, count, channels, samples, rate, gain, silences, seed):
    references = stems(count, channels, samples, seed=seed)
    made = gain * estimates(references, seed=seed)
    for stem, window, of_estimate in silences:
        hole = slice(window * rate, min((window + 1) * rate, samples - 1))
        (made if of_estimate else references)[stem % count, :, hole] = 0
    ours = sdr(references, made, rate)
    theirs = sdr_of_museval(museval, references, made, rate)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_the_last_partial_window_is_dropped():
    references = stems(2, 2, 350, seed=1)
    assert sdr(references, estimates(references, seed=1), 100).shape == (2, 3)


def test_a_signal_shorter_than_a_window_is_one_window(museval):
    references = stems(2, 2, 70, seed=1)
    made = estimates(references, seed=1)
    ours = sdr(references, made, 100)
    assert ours.shape == (2, 1)
    np.testing.assert_allclose(ours, sdr_of_museval(museval, references, made, 100), atol=1e-9)


def test_stereo_in_antiphase_is_silent_as_in_museval(museval):
    references = stems(2, 2, 300, seed=3)
    references[0, 1, 100:200] = -references[0, 0, 100:200]
    made = estimates(references, seed=3)
    ours = sdr(references, made, 100)
    assert np.isnan(ours).tolist() == [[False, True, False]] * 2
    np.testing.assert_allclose(ours, sdr_of_museval(museval, references, made, 100), atol=1e-9)


def test_blocks_do_not_show(monkeypatch):
    references = stems(1, 2, 1050, seed=4)
    made = estimates(references, seed=4)
    windows = sdr_module.Windows.of_signal(1050, 100)
    whole = sdr_module.measure(references[0], made[0], windows)
    monkeypatch.setattr(sdr_module, "_BLOCK", 300)
    blocks = sdr_module.measure(references[0], made[0], windows)
    torch.testing.assert_close(blocks.error, whole.error, rtol=1e-14, atol=0)
    assert whole.error.shape == (11,)


def whole(reference, estimate):
    return sdr_module.measure(
        reference, estimate, sdr_module.Windows.of_signal(reference.shape[-1], rate=100)
    )


def test_whole_track_scores_equal_their_formulas():
    reference, estimate = stems(2, 2, 930, seed=5)
    s, e = reference.double(), (estimate + 0.8 * reference).double()
    sums = whole(reference, e)
    assert torch.equal(e, (estimate + 0.8 * reference).double()), "the estimate was changed"
    a = (s * e).sum() / (s * s).sum()
    assert sdr_module.si_sdr(sums) == pytest.approx(
        10 * math.log10((a * s).square().sum() / (a * s - e).square().sum()), abs=1e-10
    )
    assert sdr_module.usdr(sums) == pytest.approx(
        10 * math.log10((s.square().sum() + 1e-7) / ((s - e).square().sum() + 1e-7)), abs=1e-10
    )


@pytest.mark.parametrize("gain", [0.01, 0.5, 20.0])
def test_si_sdr_does_not_depend_on_the_level_and_usdr_does(gain):
    reference = noise(2, 500, seed=6)
    estimate = (reference + noise(2, 500, seed=7, level=0.03)).double()
    assert sdr_module.si_sdr(whole(reference, gain * estimate)) == pytest.approx(
        sdr_module.si_sdr(whole(reference, estimate)), abs=1e-9
    )
    assert sdr_module.usdr(whole(reference, gain * estimate)) < sdr_module.usdr(
        whole(reference, estimate)
    )


def test_more_noise_scores_lower():
    reference = noise(2, 500, seed=8)
    disturbance = noise(2, 500, seed=9)
    for score in (
        sdr_module.usdr,
        sdr_module.si_sdr,
        lambda sums: float(sdr_module.sdr(sums).min()),
    ):
        scores = [score(whole(reference, reference + k * disturbance)) for k in (0, 0.01, 0.1, 1)]
        assert scores == sorted(scores, reverse=True)
        assert len(set(scores)) == 4


def test_a_perfect_estimate_is_finite():
    reference = noise(2, 500, seed=10)
    sums = whole(reference, reference)
    assert sdr_module.sdr(sums).tolist() == pytest.approx([313.07] * 5, abs=0.01)
    assert sdr_module.si_sdr(sums) == pytest.approx(313.07, abs=0.01)
    assert 10 < sdr_module.usdr(sums) < 100


@pytest.mark.parametrize("seed", range(8))
def test_a_silent_estimate_has_no_si_sdr_whatever_rounding_says(seed):
    reference = torch.randn(2, 48000, generator=torch.Generator().manual_seed(seed)) * 0.1
    assert math.isnan(sdr_module.si_sdr(whole(reference, torch.zeros_like(reference))))


def test_silence_has_no_si_sdr_but_a_finite_usdr():
    reference = noise(2, 500, seed=11)
    nothing = torch.zeros_like(reference)
    assert math.isnan(sdr_module.si_sdr(whole(nothing, reference)))
    assert math.isnan(sdr_module.si_sdr(whole(reference, nothing)))
    assert sdr_module.usdr(whole(reference, nothing)) == pytest.approx(0, abs=1e-6)
    assert math.isfinite(sdr_module.usdr(whole(nothing, reference)))
    assert sdr_module.usdr(whole(nothing, nothing)) == 0
