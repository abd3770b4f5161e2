from __future__ import annotations

import numpy as np
import songs
import torch

from sepbench.activity.reference import frame_count, reference_activity

RATE = 16_000


def tone(seconds: float, level: float = 0.3) -> torch.Tensor:
    return torch.from_numpy(songs.tone(220, seconds, RATE, level=level))


def silence(seconds: float) -> torch.Tensor:
    return torch.zeros(1, int(seconds * RATE))


def active(*parts: torch.Tensor) -> np.ndarray:
    return reference_activity(torch.cat(parts, -1), RATE).numpy()


def test_a_tone_is_active_where_it_sounds_to_within_two_frames() -> None:
    found = active(silence(1), tone(1), silence(1))
    assert len(found) == 300
    assert found[102:198].all()
    assert not found[:98].any()
    assert not found[202:].any()


def test_short_gaps_are_closed_and_long_ones_are_not() -> None:
    assert active(tone(1), silence(0.1), tone(1)).all()
    found = active(tone(1), silence(0.4), tone(1))
    assert not found[105:135].any()


def test_a_click_is_no_singing() -> None:
    assert not active(tone(1), silence(1), tone(0.005), silence(1))[110:290].any()


def test_what_bleeds_into_the_microphone_is_no_singing() -> None:
    found = active(tone(1), tone(1, level=0.3 * 10 ** (-28 / 20)), tone(1))
    assert not found[105:195].any()
    assert active(tone(1), tone(1, level=0.3 * 10 ** (-20 / 20)), tone(1)).all()


def test_silence_and_noise_below_minus_60_db_are_inactive() -> None:
    assert not active(silence(1)).any()
    assert not active(1e-3 * 0.9 * torch.randn(1, RATE)).any()


def test_level_and_channels_do_not_change_the_answer() -> None:
    song = torch.cat([tone(1), silence(0.5), tone(0.5, 0.1)], -1)
    assert torch.equal(reference_activity(song, RATE), reference_activity(0.1 * song, RATE))
    stereo = song.expand(2, -1)
    assert torch.equal(reference_activity(song, RATE), reference_activity(stereo, RATE))


def test_the_rate_does_not_change_the_frames() -> None:
    assert frame_count(44_100 * 3 + 1, 44_100) == 301
    samples = torch.arange(44_100)
    wide = 0.3 * torch.sin(2 * torch.pi * 220 * samples / 44_100)[None]
    found = reference_activity(torch.cat([wide, torch.zeros(1, 44_100)], -1), 44_100)
    assert torch.equal(found, torch.from_numpy(active(tone(1), silence(1))))
