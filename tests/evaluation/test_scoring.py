"""Stems are scored against references of the same parts of the song."""

from __future__ import annotations

import numpy as np
import pytest
from songs import white

from sepbench.datasets.base import assemble
from sepbench.evaluation.scoring import SongScorer
from sepbench.metrics import spectra

RATE = 8000
NAMES = ("vocals", "drums", "bass", "other", "guitar", "piano")


def stems(seed: int) -> dict[str, np.ndarray]:
    return {name: white(1, 2 * RATE, seed=(seed, n)) for n, name in enumerate(NAMES)}


def sdr(true: np.ndarray, made: np.ndarray) -> float:
    return float(10 * np.log10((true**2).sum() / ((true - made) ** 2).sum()))


def test_the_other_of_a_method_without_guitar_is_scored_with_the_guitar() -> None:
    true, noise = stems(0), stems(1)
    made = {name: true[name] + 0.1 * noise[name] for name in ("vocals", "drums", "bass")}
    wider = true["other"] + true["guitar"] + true["piano"]
    made["other"] = wider + 0.1 * noise["other"]
    scorer = SongScorer(assemble("song", None, true, RATE), ("sdr",), "cpu")
    found = scorer.score(made)
    assert found["other"].totals["uSDR"] == pytest.approx(sdr(wider, made["other"]), abs=1e-3)
    assert "guitar, piano" in " ".join(found["other"].notes)
    assert found["other"].targets == ("vocals", "drums", "bass", "other")
    # A method that makes all six is scored stem by stem, by the same scorer.
    six = {name: true[name] + 0.1 * noise[name] for name in NAMES}
    found = scorer.score(six)
    assert found["other"].totals["uSDR"] == pytest.approx(
        sdr(true["other"], six["other"]), abs=1e-3
    )
    assert not found["other"].notes


def test_guitar_without_a_reference_is_part_of_the_other() -> None:
    true, noise = stems(0), stems(1)
    made = {name: true[name] + 0.1 * noise[name] for name in NAMES}
    four = {name: true[name] for name in NAMES[:3]}
    four["other"] = true["other"] + true["guitar"] + true["piano"]
    found = SongScorer(assemble("song", None, four, RATE), ("sdr",), "cpu").score(made)
    whole = made["other"] + made["guitar"] + made["piano"]
    assert found["other"].totals["uSDR"] == pytest.approx(sdr(four["other"], whole), abs=1e-3)


def test_the_accompaniment_of_six_stems_has_the_guitar_where_other_has_no_reference() -> None:
    true, noise = stems(0), stems(1)
    made = {name: true[name] + 0.1 * noise[name] for name in NAMES}
    rest = sum(true[name] for name in NAMES[1:])
    song = assemble("song", None, {"vocals": true["vocals"], "accompaniment": rest}, RATE)
    found = SongScorer(song, ("sdr",), "cpu").score(made)
    whole = sum(made[name] for name in NAMES[1:])
    assert set(found) == {"vocals", "accompaniment"}
    assert found["accompaniment"].totals["uSDR"] == pytest.approx(sdr(rest, whole), abs=1e-3)


def test_a_stem_of_two_sets_is_scored_once_by_metrics_that_look_at_it_alone(monkeypatch):
    generator = np.random.default_rng(3)
    four = ("vocals", "drums", "bass", "other")
    true = {stem: generator.normal(0, 0.1, (2, 2 * RATE)).astype(np.float32) for stem in four}
    made = {stem: wave + 0.1 * true["drums"] for stem, wave in true.items()}
    compared = []
    real = spectra.level_difference
    monkeypatch.setattr(
        spectra, "level_difference", lambda *given: compared.append(1) or real(*given)
    )
    song = assemble("song", None, true, RATE)
    scores = SongScorer(song, ("l1-freq", "nussl"), "cpu").score(made)
    assert scores["vocals"].targets == four
    assert scores["accompaniment"].targets == ("vocals", "accompaniment")
    assert len(compared) == 2 * len(scores)  # Of the method, and of the mixture.
    names = {"l1-freq", "nussl SI-SDR", "uSDR"}
    for stem, result in scores.items():
        assert names <= result.totals.keys() & result.mixture_totals.keys(), stem


def test_a_song_of_one_stem_has_no_score_of_its_mixture() -> None:
    true, noise = stems(0)["vocals"], stems(1)["vocals"]
    made = {"vocals": true + 0.1 * noise}
    song = assemble("song", None, {"vocals": true}, RATE)
    assert song.notes == ("no mixture, and vocals alone: it is taken for the whole song",)
    found = SongScorer(song, ("sdr",), "cpu").score(made)["vocals"]
    assert found.totals["uSDR"] == pytest.approx(sdr(true, made["vocals"]), abs=1e-3)
    assert not found.mixture_totals
    assert not found.mixture_frames
    mixture = true + noise
    song = assemble("song", mixture, {"vocals": true}, RATE)
    found = SongScorer(song, ("sdr",), "cpu").score(made)["vocals"]
    assert found.mixture_totals["uSDR"] == pytest.approx(sdr(true, mixture), abs=1e-3)
