from __future__ import annotations

import torch
from songs import noise

from sepbench.stems import TARGET_SETS
from sepbench_plugins.mixture import Mixture


def test_every_scored_stem_is_the_mixture_times_its_gain():
    mixture = noise(2, 100)
    for gain in (1.0, 0.25):
        stems = Mixture(Mixture.Options(gain=gain)).separate(mixture)
        assert set(stems) == {name for targets in TARGET_SETS for name in targets}
        assert all(torch.equal(stem, gain * mixture) for stem in stems.values())
