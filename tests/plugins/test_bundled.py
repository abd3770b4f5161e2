"""What the conformance kit does not try, of every bundled method that needs no training."""

from __future__ import annotations

import pytest
import torch
from songs import noise, repeating_song, sdr

from sepbench.separator import Oracle, Separator
from sepbench_plugins.hpss import Hpss
from sepbench_plugins.mixture import Mixture
from sepbench_plugins.oracle import IdealBinaryMask, IdealRatioMask, OracleWiener
from sepbench_plugins.repet_sim import RepetSim

METHODS = [
    Mixture(),
    Hpss(),
    Hpss(Hpss.Options(mask="hard", margin=2.0)),
    RepetSim(),
    RepetSim(RepetSim.Options(recipe="librosa")),
    IdealBinaryMask(),
    IdealRatioMask(),
    OracleWiener(),
]


def run(method: Separator, mixture: torch.Tensor) -> dict[str, torch.Tensor]:
    """Separate, showing oracles four equal stems."""
    if isinstance(method, Oracle):
        return dict(method.separate(mixture, dict.fromkeys(method.stems, mixture / 4)))
    return dict(method.separate(mixture))


each_method = pytest.mark.parametrize(
    "method", METHODS, ids=lambda method: f"{method.name}-{METHODS.index(method)}"
)


@each_method
def test_a_silent_start_does_no_harm(method):
    mixture = noise(2, 40000)
    mixture[:, :20000] = 0.0
    for stem in run(method, mixture).values():
        assert stem.isfinite().all()
        assert stem[:, :15000].abs().max() == 0


def test_knowing_is_better_than_guessing_and_guessing_than_nothing():
    song = repeating_song(6.0)
    mixture, vocals = sum(song.values()), song["vocals"]
    guessed = mixture - RepetSim().separate(mixture)["accompaniment"]
    nothing = Mixture().separate(mixture)["vocals"]
    assert sdr(vocals, guessed) > sdr(vocals, nothing) + 5
    for oracle in (IdealBinaryMask(), IdealRatioMask(), OracleWiener()):
        known = oracle.separate(mixture, song)["vocals"]
        assert sdr(vocals, known) > sdr(vocals, guessed) + 1
