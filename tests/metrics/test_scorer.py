from __future__ import annotations

import math

import pytest
import torch

from sepbench.errors import SepbenchError
from sepbench.metrics.bsseval import projections
from sepbench.metrics.scale_invariant import NAMES
from sepbench.metrics.scorer import TrackScorer
from sepbench.registry.metrics import resolve_metrics

from .signals import estimates, stems

RATE = 200


def track(count=3, channels=2, samples=5 * RATE + 30, seed=0):
    references = stems(count, channels, samples, seed=seed)
    made = estimates(references, seed=seed)
    names = ("vocals", "drums", "bass", "other")[:count]
    return (
        dict(zip(names, references, strict=True)),
        dict(zip(names, made, strict=True)),
        names,
    )


def scorer_of(references, metrics=()):
    chosen = resolve_metrics(metrics)
    return TrackScorer(references, sum(references.values()), RATE, metrics=chosen)


def test_every_stem_has_frames_totals_and_the_mixtures_own():
    references, made, names = track()
    scores = scorer_of(references).score(made, targets=names)
    assert tuple(scores) == names
    for stem in scores.values():
        assert len(stem.frames["SDR"]) == len(stem.mixture_frames["SDR"]) == 5
        assert stem.totals["SI-SDR"] > stem.mixture_totals["SI-SDR"]
        assert stem.totals["uSDR"] > stem.mixture_totals["uSDR"]
        assert stem.notes == ()


def test_the_mixture_scores_as_the_mixture():
    references, _, names = track()
    mixture = sum(references.values())
    scores = scorer_of(references).score(dict.fromkeys(names, mixture), targets=names)
    for stem in scores.values():
        assert stem.frames == stem.mixture_frames
        assert stem.totals == stem.mixture_totals


def test_a_window_silent_in_one_stem_counts_for_none_of_its_set():
    references, made, names = track()
    references["drums"][:, RATE : 2 * RATE] = 0
    made["bass"][:, 4 * RATE :] = 0
    scorer = scorer_of(references)
    for stem in scorer.score(made, targets=names).values():
        assert [math.isnan(score) for score in stem.frames["SDR"]] == [
            False,
            True,
            *[False] * 2,
            True,
        ]
    (alone,) = scorer.score(made, targets=("vocals",)).values()
    assert not any(map(math.isnan, alone.frames["SDR"]))


@pytest.mark.parametrize("silent", ["reference", "estimate"])
def test_a_wholly_silent_stem_takes_no_windows_from_the_others(silent):
    references, made, names = track()
    (references if silent == "reference" else made)["drums"].zero_()
    scores = scorer_of(references).score(made, targets=names)
    assert all(map(math.isnan, scores["drums"].frames["SDR"]))
    assert math.isnan(scores["drums"].totals["SI-SDR"])
    assert scores["drums"].notes == (f"the {silent} is silent",)
    assert not any(map(math.isnan, scores["vocals"].frames["SDR"]))


def test_what_does_not_fit_is_named():
    references, made, names = track()
    scorer = scorer_of(references)
    with pytest.raises(SepbenchError, match="estimate bass: 2 channels of 7 samples"):
        scorer.score({**made, "bass": made["bass"][:, :7]}, targets=names)
    with pytest.raises(SepbenchError, match="no reference"):
        scorer.score(made, targets=("vocals", "other"))
    with pytest.raises(SepbenchError, match="no estimate"):
        scorer.score({}, targets=("vocals",))
    with pytest.raises(SepbenchError, match="estimate vocals: contains NaN or infinity"):
        scorer.score({**made, "vocals": made["vocals"] / 0}, targets=names)
    with pytest.raises(SepbenchError, match="mixture"):
        TrackScorer({}, torch.zeros(2, 0), RATE)


def test_sets_add_their_scores_and_change_no_others():
    references, made, names = track(channels=1)
    every = scorer_of(references, metrics=["bsseval", "nussl"])
    plain = scorer_of(references).score(made, targets=names)
    for stem, scores in every.score(made, targets=names).items():
        assert tuple(scores.frames) == tuple(scores.mixture_frames) == ("SDR", "ISR", "SIR", "SAR")
        assert set(scores.totals) == {
            "uSDR",
            "SI-SDR",
            *(f"nussl {name}" for name in NAMES),
        }
        assert scores.frames["SDR"] == plain[stem].frames["SDR"]
        assert scores.totals["uSDR"] == plain[stem].totals["uSDR"]


def test_a_method_scores_the_same_whoever_was_scored_before():
    references, made, names = track(channels=1)
    other = {name: 0.5 * stem for name, stem in made.items()}
    first = scorer_of(references, metrics=["bsseval"])
    second = scorer_of(references, metrics=["bsseval"])
    second.score(other, targets=names)
    second.score(made, targets=("vocals", "bass"))
    assert first.score(made, targets=names) == second.score(made, targets=names)


def test_references_are_factorised_once_for_each_set_of_stems(monkeypatch):
    references, made, names = track(channels=1)
    built = []
    real = projections.Projections
    monkeypatch.setattr(
        projections,
        "Projections",
        lambda *given, **options: built.append(1) or real(*given, **options),
    )
    scorer = scorer_of(references, metrics=["bsseval"])
    for _ in range(3):
        scorer.score(made, targets=names)
        scorer.score(made, targets=("vocals", "bass"))
    assert len(built) == 2


def test_silent_windows_are_silent_in_every_score():
    references, made, names = track(channels=1)
    references["drums"][:, RATE : 2 * RATE] = 0
    scores = scorer_of(references, metrics=["bsseval"]).score(made, targets=names)
    for stem in scores.values():
        for frames in stem.frames.values():
            assert [math.isnan(score) for score in frames] == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("silent", ["reference", "estimate"])
def test_one_silent_stem_silences_no_other_in_bsseval(silent):
    references, made, names = track(channels=1)
    (references if silent == "reference" else made)["drums"].zero_()
    scores = scorer_of(references, metrics=["bsseval", "nussl"]).score(made, targets=names)
    for name in ("ISR", "SIR", "SAR"):
        assert all(map(math.isnan, scores["drums"].frames[name]))
        assert all(map(math.isfinite, scores["bass"].frames[name]))


@pytest.mark.slow
def test_a_stem_in_antiphase_is_scored_as_silent_but_still_heard_in_others():
    references, made, names = track(channels=2)
    references["drums"][1] = -references["drums"][0]
    made["vocals"] = made["vocals"] + references["drums"]
    scores = scorer_of(references, metrics=["bsseval"]).score(made, targets=names)
    assert scores["drums"].notes[0] == "the reference is silent, once its channels are added"
    assert max(scores["vocals"].frames["SIR"]) < 6


def test_references_that_rounding_decides_are_noted():
    references, made, names = track(count=2)
    references["drums"] = torch.nn.functional.pad(references["vocals"][:, :-5], (5, 0))
    scores = scorer_of(references, metrics=["bsseval"]).score(made, targets=names)
    assert "ill-conditioned" in scores["vocals"].notes[0]


@pytest.mark.slow
def test_methods_together_score_as_each_alone_to_the_bit():
    references, made, names = track(channels=2)
    methods = [made, {name: 0.5 * stem for name, stem in made.items()}, references] * 2
    chosen = ["bsseval", "nussl"]
    together = scorer_of(references, metrics=chosen).score_methods(methods, targets=names)
    alone = scorer_of(references, metrics=chosen)
    for found, method in zip(together, methods, strict=True):
        expected = alone.score(method, targets=names)
        for stem in names:
            assert str(found[stem]) == str(expected[stem])
