from __future__ import annotations

import torch

from sepbench.dsp.mid_side import left_and_right, mid_and_side


def test_what_is_in_the_middle_is_in_the_mid_alone_and_what_is_on_one_side_in_both() -> None:
    voice, guitar = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    mid, side = mid_and_side(torch.stack([voice, voice]))
    assert torch.equal(mid, voice)
    assert not side.any()
    assert torch.equal(*mid_and_side(torch.stack([guitar, torch.zeros(1000)])))


def test_left_and_right_come_back() -> None:
    song = torch.randn(2, 1000, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(left_and_right(mid_and_side(song)), song, atol=1e-6)
