from __future__ import annotations

import numpy as np
import pytest
import torch
from songs import RATE, repeating_song

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.inference.overlap_add import Samples
from sepbench.inference.presets import choose_default

CPU = torch.device("cpu")


def run(spec: str, mixture: Samples) -> dict[str, Samples]:
    separator = registry.resolve(spec)[0].create()
    runner.load(separator, CPU)
    return runner.separate(separator, mixture, rate=RATE, device=CPU).stems


@pytest.mark.slow
def test_the_voice_is_that_of_the_first_method_and_all_stems_sum_to_the_song() -> None:
    song: Samples = sum(repeating_song(2.5).values()).numpy()
    made = run("four-stems[repet-sim]", song)
    assert made.keys() == {"vocals", "drums", "bass", "other"}
    np.testing.assert_allclose(sum(made.values()), song, atol=1e-6)
    vocals = run("repet-sim", song)["vocals"]
    np.testing.assert_allclose(made["vocals"], vocals, atol=1e-5)


@pytest.mark.slow
def test_a_low_tone_is_bass_and_clicks_are_drums() -> None:
    time = np.arange(6 * RATE) / RATE
    notes = 55 * 2 ** (np.floor(time * 2) % 4 / 6)
    bass = sum(0.1 / n * np.sin(2 * np.pi * np.cumsum(n * notes) / RATE) for n in (1, 2, 3))
    rng = np.random.default_rng(0)
    clicks = 0.2 * rng.standard_normal(len(time)) * np.exp(-40 * (time % 0.25))
    made = run("four-stems", np.stack([bass + clicks] * 2).astype(np.float32))
    for stem, true in (("bass", bass), ("drums", clicks)):
        error = np.square(made[stem] - true).mean()
        assert 10 * np.log10(np.square(true).mean() / error) > 6, stem


def test_a_method_that_leaves_no_accompaniment_is_one_line() -> None:
    with pytest.raises(SepbenchError, match="hpss makes no accompaniment"):
        registry.resolve("four-stems[hpss]")[0].create()


def test_without_a_method_bass_is_taken_from_the_one_that_makes_all_stems() -> None:
    chosen = choose_default(["vocals", "bass"])
    assert "bass" in chosen.method.declared.stems
