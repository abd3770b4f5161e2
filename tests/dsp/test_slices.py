from __future__ import annotations

import pytest
import torch
from songs import noise

from sepbench.dsp.slices import Slices

SHAPES = [
    Slices(64, 32),
    Slices(64, 10, "both"),
    Slices(65, 32, "synthesis"),
    Slices(64, 1),
    Slices(64, 0),
    Slices(1, 0, "both"),
]


@pytest.mark.parametrize("slices", SHAPES, ids=str)
@pytest.mark.parametrize("samples", [0, 1, 32, 63, 64, 65, 700])
def test_signal_comes_back_at_its_exact_length(slices, samples):
    signal = noise(2, 3, samples)
    back = slices.join(slices.cut(signal), samples)
    assert back.shape == signal.shape
    torch.testing.assert_close(back, signal, atol=1e-6, rtol=0)
    exact = slices.join(slices.cut(signal.double()), samples)
    torch.testing.assert_close(exact, signal.double(), atol=1e-15, rtol=1e-15)


@pytest.mark.parametrize("slices", SHAPES, ids=str)
@pytest.mark.parametrize("size", [1, 3, 50])
def test_blocks_are_the_whole(slices, size):
    signal = noise(2, 300)
    whole = slices.cut(signal)
    changed = whole * torch.rand(whole.shape, generator=torch.Generator().manual_seed(1))
    added = torch.zeros_like(signal)
    for first, last in slices.blocks(300, size):
        torch.testing.assert_close(slices.cut(signal, first, last), whole[:, first:last])
        slices.add(added, changed[:, first:last], first)
    torch.testing.assert_close(added, slices.join(changed, 300))


@pytest.mark.parametrize("slices", SHAPES, ids=str)
def test_a_shift_by_whole_slices_shifts_the_slices(slices):
    signal = noise(300)
    late = torch.cat([torch.zeros(3 * slices.hop), signal])
    assert torch.equal(slices.cut(late)[3:], slices.cut(signal))


def test_gains_of_slices_change_into_each_other_without_a_step():
    slices = Slices(200, 100)
    gains = torch.tensor([1.0, 0.2]).repeat(6)[: slices.count(1000), None]
    heard = slices.join(gains * slices.cut(torch.ones(1000)), 1000)
    assert heard.min() >= 0.2
    assert heard.max() <= 1
    assert heard.diff().abs().max() < 0.8 * torch.pi / 2 / 100 * 1.01  # the slope of the cosine


def test_without_overlap_slices_are_pieces_of_the_signal():
    pieces = Slices(4, 0).cut(torch.arange(1.0, 7.0))
    assert pieces.tolist() == [[1, 2, 3, 4], [5, 6, 0, 0]]


def test_a_slice_to_be_faded_later_is_the_signal_itself():
    signal = noise(300)
    pieces = Slices(64, 32, "synthesis").cut(signal)
    assert torch.equal(pieces[3], signal[64:128])


def test_gradients_pass():
    slices = Slices(8, 3, "both")
    signal = noise(2, 21).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: slices.join(slices.cut(x).square(), 21), signal)


@pytest.mark.parametrize("wrong", [(64, 33), (64, -1), (0, 0)])
def test_more_than_half_overlap_is_refused(wrong):
    with pytest.raises(ValueError, match="2 overlap <= length"):
        Slices(*wrong)
