from __future__ import annotations

import math

import pytest
import torch
from songs import tone

from sepbench.activity.metric import Activity, Leakage

RATE = 16_000


def song() -> torch.Tensor:
    """One second of a tone, one of silence, and a tone again."""
    sung = torch.from_numpy(tone(220, 1, RATE))
    return torch.cat([sung, torch.zeros(1, RATE), sung], 1)


def test_the_truth_scores_one_and_leaks_nothing() -> None:
    reference = song()
    assert Activity().score(reference, reference, reference, RATE) == 1.0
    # Frames of 40 ms reach into the tone at both ends of the pause.
    assert Leakage().score(reference, reference, reference, RATE) < -30


def test_leakage_is_the_level_in_silence() -> None:
    reference = song()
    noise = torch.zeros_like(reference)
    noise[:, RATE : 2 * RATE] = 0.03 / math.sqrt(2)
    leaked = Leakage().score(reference, reference + noise, reference, RATE)
    assert leaked == pytest.approx(-20, abs=0.3)


def test_sounding_where_the_voice_pauses_costs_f1() -> None:
    reference = song()
    always = 0.3 * torch.sin(2 * torch.pi * 220 * torch.arange(3 * RATE) / RATE)[None]
    assert Activity().score(reference, always, always, RATE) == pytest.approx(2 * 2 / 5, abs=0.02)


def test_a_stem_that_never_sounds_has_no_score() -> None:
    silent = torch.zeros(1, RATE)
    assert math.isnan(Activity().score(silent, silent, silent, RATE))
    assert math.isnan(Leakage().score(silent, song()[:, :RATE], silent, RATE))
