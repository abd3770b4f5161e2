from __future__ import annotations

import itertools

import numpy as np

from sepbench import registry
from sepbench.evaluation.scoring import target_sets
from sepbench.stems import with_sums

REFERENCES = ("vocals", "drums", "bass", "other", "accompaniment", "harmonic", "percussive")


def test_what_sounds_beside_a_voice_is_its_accompaniment() -> None:
    rng = np.random.default_rng(0)
    stems = {name: rng.normal(size=100) for name in ("vocals", "percussive", "harmonic")}
    made = [with_sums(dict(order)) for order in itertools.permutations(stems.items())]
    for complete in made:
        mixture = complete["vocals"] + complete["accompaniment"]
        np.testing.assert_allclose(mixture, sum(stems.values()))
        np.testing.assert_array_equal(complete["accompaniment"], made[0]["accompaniment"])


def test_harmonic_parts_with_the_voice_in_them_are_no_accompaniment() -> None:
    assert "accompaniment" not in with_sums({"percussive": 1, "harmonic": 2, "residual": 3})
    own = with_sums({"vocals": 1, "percussive": 2, "harmonic": 3, "accompaniment": 9})
    assert own["accompaniment"] == 9


def test_a_sum_of_which_a_stem_is_missing_is_not_made() -> None:
    made = with_sums({"vocals": 1, "drums": 2, "bass": 4})
    assert made == {"vocals": 1, "drums": 2, "bass": 4, "percussive": 2}


def test_three_stems_are_scored_as_before_and_their_accompaniment_beside_the_voice() -> None:
    three = ("vocals", "harmonic", "percussive")
    chosen = target_sets(three, REFERENCES)
    assert chosen.pop("accompaniment") == ("vocals", "accompaniment")
    assert chosen == dict.fromkeys(three, three)


def test_methods_of_three_and_of_two_stems_share_voice_and_accompaniment() -> None:
    (method,) = registry.resolve("ensemble[cdae+unet]")
    assert method.create().stems == ("vocals", "accompaniment")
