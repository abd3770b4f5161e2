"""What every bundled method that needs no training keeps to."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sepbench.separator import Oracle, Separator
from sepbench_plugins.hpss import Hpss
from sepbench_plugins.mixture import Mixture
from sepbench_plugins.oracle import IdealBinaryMask, IdealRatioMask, OracleWiener
from sepbench_plugins.repet_sim import RepetSim

from .songs import noise, repeating_song, sdr

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
@pytest.mark.parametrize("samples", [1, 100, 1025, 30001])
def test_any_length_comes_back_whole(method, samples):
    for stem in run(method, noise(2, samples)).values():
        assert stem.shape == (2, samples)
        assert stem.dtype == torch.float32
        assert stem.isfinite().all()


@each_method
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_any_channels_come_back(method, channels):
    for stem in run(method, noise(channels, 5000)).values():
        assert stem.shape == (channels, 5000)
        assert stem.isfinite().all()


@each_method
def test_silence_stays_silence(method):
    for stem in run(method, torch.zeros(2, 30000)).values():
        assert torch.equal(stem, torch.zeros(2, 30000))


@each_method
def test_a_silent_start_does_no_harm(method):
    mixture = noise(2, 40000)
    mixture[:, :20000] = 0.0
    for stem in run(method, mixture).values():
        assert stem.isfinite().all()
        assert stem[:, :15000].abs().max() == 0


@each_method
def test_the_same_song_gives_the_same_stems_and_is_left_alone(method):
    mixture = noise(2, 50000)
    once, again = run(method, mixture.clone()), run(method, mixture)
    assert torch.equal(mixture, noise(2, 50000))
    assert all(torch.equal(once[name], again[name]) for name in once)


@each_method
def test_stems_are_those_declared(method):
    expected = set(method.stems) - {method.remainder}
    assert set(run(method, noise(2, 5000))) == expected


def test_knowing_is_better_than_guessing_and_guessing_than_nothing():
    song = repeating_song(6.0)
    mixture, vocals = sum(song.values()), song["vocals"]
    guessed = mixture - RepetSim().separate(mixture)["accompaniment"]
    nothing = Mixture().separate(mixture)["vocals"]
    assert sdr(vocals, guessed) > sdr(vocals, nothing) + 5
    for oracle in (IdealBinaryMask(), IdealRatioMask(), OracleWiener()):
        known = oracle.separate(mixture, song)["vocals"]
        assert sdr(vocals, known) > sdr(vocals, guessed) + 1


@pytest.mark.parametrize("module", ["hpss", "mixture", "oracle", "repet_sim"])
def test_facts_are_read_without_torch(module):
    code = f"import sys, sepbench_plugins.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
