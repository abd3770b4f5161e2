from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepbench.dsp.masks import binary_mask, ratio_masks, soft_mask

magnitudes = st.lists(
    st.floats(0, 1e4, width=32, allow_subnormal=False), min_size=4, max_size=4
).map(torch.tensor)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(magnitudes, magnitudes, st.sampled_from([0.5, 1.0, 2.0, 6.0]))
def test_soft_mask_is_librosas(target, rest, power):
    ours = soft_mask(target, rest, power=power)
    theirs = librosa.util.softmask(target.numpy(), rest.numpy(), power=power, split_zeros=True)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(magnitudes, magnitudes, st.sampled_from([1.0, 2.0, 50.0]))
def test_soft_mask_and_its_rival_make_one(target, rest, power):
    total = soft_mask(target, rest, power=power) + soft_mask(rest, target, power=power)
    torch.testing.assert_close(total, torch.ones(4))


@settings(deadline=None, max_examples=50)
@given(st.lists(magnitudes, min_size=1, max_size=5), st.sampled_from([1.0, 2.0, 20.0]))
def test_ratio_masks_make_one(sources, power):
    masks = ratio_masks(sources, power=power)
    assert all(((mask >= 0) & (mask <= 1)).all() for mask in masks)
    torch.testing.assert_close(sum(masks), torch.ones(4))


def test_two_ratio_masks_are_a_soft_mask():
    a, b = torch.rand(2, 100, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ratio_masks([a, b], power=2.0)[0], soft_mask(a, b, power=2.0))


@pytest.mark.parametrize("level", [1e-30, 1e-5, 1.0, 1e15])
def test_masks_do_not_depend_on_the_level(level):
    a, b = torch.tensor([0.5, 2.0]) * level, torch.tensor([1.0, 1.0]) * level
    expected = torch.tensor([0.2, 0.8])
    torch.testing.assert_close(soft_mask(a, b), expected)
    torch.testing.assert_close(ratio_masks([a, b])[0], expected)


def test_infinite_power_takes_all():
    target, rest = torch.tensor([2.0, 1.0, 1.0, 0.0]), torch.tensor([1.0, 2.0, 1.0, 0.0])
    assert soft_mask(target, rest, power=math.inf).tolist() == [1, 0, 0, 0]


def test_binary_mask_compares_powers():
    source, mixture = torch.tensor([0.6, 0.8, 1.5, 0.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert binary_mask(source, mixture, power=1.0).tolist() == [1, 1, 1, 0]
    assert binary_mask(source, mixture, power=2.0).tolist() == [0, 1, 1, 0]
