from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np
import pytest
import torch
from songs import RATE, noise, repeating_song, sdr, tone

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import overlap_add, runner
from sepbench.inference.presets import BEST_INCLUDED, PRESETS
from sepbench.registry import Method
from sepbench.separator import SampleCount, Separator
from sepbench_plugins.ensemble import MethodEnsemble, averaging
from sepbench_plugins.hpss import Hpss

CPU = torch.device("cpu")


def method(spec: str) -> Method:
    (found,) = registry.resolve(spec)
    return found


def run(spec: str, mixture: torch.Tensor, rate: int = RATE) -> dict[str, torch.Tensor]:
    separator = method(spec).create()
    runner.load(separator, CPU)
    stems = runner.separate(separator, mixture.numpy(), rate=rate, device=CPU).stems
    return {name: torch.from_numpy(stem) for name, stem in stems.items()}


@pytest.fixture(scope="module")
def song() -> torch.Tensor:
    return sum(repeating_song(2.5).values())


def test_a_method_averaged_with_itself_is_that_method(song):
    for spec in ("hpss[margin=2]", "mixture[gain=0.5]", "repet-sim"):
        alone, twice = run(spec, song), run(f"ensemble[{spec}+{spec}]", song)
        assert twice.keys() == alone.keys()
        for stem in alone:
            torch.testing.assert_close(twice[stem], alone[stem], rtol=0, atol=1e-6)


def test_the_mean_with_the_mixture_is_half_of_it_and_half_of_the_stem(song):
    alone, mean = run("repet-sim", song), run("ensemble[repet-sim+mixture]", song)
    assert mean.keys() == {"vocals", "accompaniment"}
    torch.testing.assert_close(mean["vocals"], (alone["vocals"] + song) / 2)


def test_weights_weigh(song):
    alone, mean = run("repet-sim", song), run("ensemble[3*repet-sim + 1 * mixture]", song)
    torch.testing.assert_close(mean["vocals"], 0.75 * alone["vocals"] + 0.25 * song)
    tenths = run("ensemble[0.3*repet-sim+.1*mixture]", song)
    torch.testing.assert_close(tenths["vocals"], mean["vocals"])


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["stems", "masks"])
def test_order_does_not_matter_to_the_bit(song, domain):
    members = ("hpss", "0.7*hpss[margin=3]", "mixture[gain=0.3]")
    results = [
        run(f"ensemble[{'+'.join(order)},domain={domain}]", song[:, :20000])["percussive"]
        for order in permutations(members)
    ]
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_members_that_agree_on_the_remainder_sum_to_the_mixture(song):
    stems = run("ensemble[hpss[margin=2]+hpss[margin=4],domain=masks]", song)
    assert stems.keys() == {"harmonic", "percussive", "residual"}
    torch.testing.assert_close(sum(stems.values()), song)


def test_the_accompaniment_is_the_rest_where_all_members_sum_to_the_mixture() -> None:
    for spec, remainder in (
        ("ensemble", "accompaniment"),
        ("ensemble[unet+cdae]", "accompaniment"),
        ("ensemble[2*unet+cdae]", "accompaniment"),
        ("ensemble[2*unet+ensemble[cdae+blstm]]", "accompaniment"),
        ("ensemble[vocals:2*unet+cdae]", None),
        ("ensemble[unet+cdae,of=median]", None),
        ("ensemble[unet+mask-cnn]", "accompaniment"),
        ("ensemble[unet+mask-cnn,of=median]", "accompaniment"),
        ("ensemble[unet+mask-cnn,of=median,domain=spectra]", None),
        ("ensemble[unet+mask-cnn,of=min]", None),
        ("ensemble[hpss[margin=1.2]+hpss[margin=2]+hpss[margin=3],of=median]", None),
        ("ensemble[hpss[margin=1.2]+hpss[margin=2]]", "residual"),
        ("ensemble[unet+mask-cnn,of=max]", None),
        ("ensemble[3*unet+mask-cnn]", "accompaniment"),
        ("ensemble[accompaniment:3*unet+mask-cnn]", None),
        ("ensemble[unet+cdae[single_model=true]]", None),
    ):
        assert method(spec).create().remainder == remainder, spec


def test_masks_stay_in_range_and_keep_the_mixture_s_phase():
    mixture, source = noise(1, 20000), 3 * noise(3, 1, 20000, seed=1)
    spectrum = torch.fft.rfft(mixture)
    mask = averaging.magnitude_ratio(torch.fft.rfft(source), spectrum)
    assert mask.shape == (3, *spectrum.shape)
    assert mask.min() >= 0
    assert mask.max() == 1
    silent = averaging.magnitude_ratio(torch.fft.rfft(source), torch.zeros_like(spectrum))
    assert not silent.any()
    # Louder than the mixture everywhere, a source is given no more than the mixture.
    loud = {"vocals": torch.stack([-2 * mixture, 5 * mixture])}
    masked = averaging.of_masks(mixture, loud, {"vocals": [0.5, 0.5]}, n_fft=1024)["vocals"]
    torch.testing.assert_close(masked, mixture, rtol=0, atol=1e-5)


def test_the_mean_of_one_mask_is_nearly_the_masked_stem(song):
    alone, masked = run("hpss", song), run("ensemble[hpss,domain=masks,n_fft=2048]", song)
    assert sdr(alone["percussive"], masked["percussive"]) > 10


class Halving(Separator):
    """Half of the mixture, at a rate, on channels and in blocks of its own."""

    name = "halving"
    summary = "For tests."
    stems = ("vocals", "accompaniment")
    license = "MIT; weights CC0-1.0"
    citation = "none"
    trained_on = ("musdb18/train",)
    context = 0.1

    def __init__(self, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = factor

    def load(self, device: torch.device) -> None:
        self.is_loaded = True

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        assert self.is_loaded
        assert self.channels in (None, len(mixture))
        return {"vocals": mixture * self.factor, "accompaniment": mixture * (1 - self.factor)}


class Other(Halving):
    sample_rate = 22050
    channels = 1
    context = None
    license = "Apache-2.0"
    trained_on = ("dsd100/train",)


class Stereo(Halving):
    sample_rate = 48000
    channels = 2
    context = 0.7
    stems = ("vocals", "accompaniment", "drums")

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {**super().separate(mixture), "drums": mixture * 0}


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("domain", ["stems", "masks"])
def test_each_member_is_run_at_its_own_rate_on_its_own_channels_in_its_own_blocks(
    channels, domain, monkeypatch
):
    monkeypatch.setattr(overlap_add, "BLOCK_SECONDS", 2.0)
    rate = 32000
    members = [Halving(0.9), Other(0.6), Stereo(0.3)]
    options = MethodEnsemble.Options(methods="a+b+c", domain=domain, n_fft=1024)
    ensemble = MethodEnsemble(options, members)
    runner.load(ensemble, CPU)
    mixture = tone(440, 7.3, rate, level=np.linspace(0.2, 0.8, channels))
    chunks = np.split(mixture, [100, 40000, 40001, 150000], axis=1)
    parts = list(runner.stream(ensemble, chunks, rate=rate, device=CPU))
    for stem, share in {"vocals": 0.6, "accompaniment": 0.4}.items():
        made = np.concatenate([part[stem] for part in parts], axis=1)
        assert made.shape == mixture.shape
        # The ends ring where the tone is cut off.
        inside = slice(rate // 10, -rate // 10)
        np.testing.assert_allclose(made[:, inside], share * mixture[:, inside], atol=2e-3)


def test_no_more_of_a_song_is_held_than_some_blocks(monkeypatch):
    monkeypatch.setattr(overlap_add, "BLOCK_SECONDS", 2.0)
    rate, seconds, read, written, most = 8000, 60, 0, 0, 0
    ensemble = MethodEnsemble(
        MethodEnsemble.Options(methods="a+b", domain="masks", n_fft=512), [Halving(), Stereo()]
    )
    runner.load(ensemble, CPU)

    def chunks():
        nonlocal read
        for _ in range(2 * seconds):
            read += rate // 2
            yield np.zeros((1, rate // 2), np.float32)

    for part in runner.stream(ensemble, chunks(), rate=rate, device=CPU):
        most = max(most, read - written)
        written += part["vocals"].shape[1]
    assert written == seconds * rate
    assert most < 16 * rate


def test_facts_are_the_union_of_the_members():
    ensemble = MethodEnsemble(None, [Halving(), Other(), Stereo()])
    assert ensemble.stems == ("vocals", "accompaniment")
    assert ensemble.trained_on == ("musdb18/train", "dsd100/train")
    assert ensemble.license == "MIT; weights CC0-1.0; Apache-2.0"
    assert ensemble.context is None
    assert MethodEnsemble(None, [Halving(), Stereo()]).context == 0.0
    masks = MethodEnsemble(MethodEnsemble.Options(domain="masks"), [Halving(), Stereo()])
    assert masks.context == SampleCount(2 * 4096)


@pytest.mark.slow
@pytest.mark.parametrize("n_fft", [1024, 1280, 4100])
def test_masks_in_blocks_sound_as_over_the_whole_song(song, monkeypatch, n_fft):
    spec, longer = f"ensemble[hpss+mixture,domain=masks,n_fft={n_fft}]", song.repeat(1, 4)
    whole = run(spec, longer)["percussive"]
    monkeypatch.setattr(overlap_add, "BLOCK_SECONDS", 0.5)
    assert sdr(whole, run(spec, longer)["percussive"]) > 60


def test_a_sum_counts_as_a_stem_that_both_make():
    class Four(Halving):
        stems = ("vocals", "drums", "bass", "other")

        def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
            return dict.fromkeys(self.stems, mixture / 10)

    ensemble = MethodEnsemble(MethodEnsemble.Options(methods="a+b"), [Halving(), Four()])
    assert ensemble.stems == ("vocals", "accompaniment")
    assert MethodEnsemble(None, [Four(), Four()]).stems == ("vocals", "drums", "bass", "other")
    runner.load(ensemble, CPU)
    mixture = tone(440, 0.5, 8000, level=(0.2, 0.8))
    stems = runner.separate(ensemble, mixture, rate=8000, device=CPU).stems
    np.testing.assert_allclose(stems["accompaniment"], mixture * (0.5 + 0.3) / 2, atol=1e-6)


def test_whatever_changes_a_member_changes_the_ensemble(monkeypatch):
    before = method("ensemble[hpss+mixture]").identity
    assert before == method("ensemble[hpss+mixture]").identity
    assert before != method("ensemble[hpss+2*mixture]").identity
    assert before["members"][0]["method"] == "hpss"
    monkeypatch.setattr(Hpss, "version", "another")
    assert before != method("ensemble[hpss+mixture]").identity
    (unet, _) = method("ensemble[unet+mask-cnn]").identity["members"]
    assert [len(sha256) for sha256 in unet["weights"]] == [64]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ensemble[unet+hpss]", "share no stem: hpss makes harmonic, percussive, residual; unet"),
        ("ensemble[unet+nothing]", "cannot have nothing: no method 'nothing'"),
        ("ensemble[unet+hpss[margin=0]]", "margin=0: must be at least 1"),
        ("ensemble[unet+oracle-irm]", "oracle-irm is an oracle"),
        ("ensemble[hpss[margin=1,2]+hpss]", "margin=1,2] means 2 methods; give each option one"),
        ("ensemble[unet+]", "write it as METHOD+METHOD"),
        ("ensemble[0*unet+hpss]", "optionally with positive weights"),
        ("ensemble[x*unet]", "optionally with positive weights"),
        ("ensemble[vocals:2/drums*unet+cdae]", "or weights by stem, as in vocals:2/drums:0.5*dem"),
        ("ensemble[drums:2*unet+blstm]", "a weight for 'drums'; the members make vocals, accompan"),
        ("ensemble[2*unet+blstm,of=max]", "weights require of=mean"),
        ("ensemble[2*unet-stereo+unet,of=median]", "weights require of=mean"),
        ("ensemble[1e308*hpss+1e308*repet-sim]", "the sum of its weights is too large"),
        ("ensemble[of=sums]", "choose one of mean, median, min, max"),
    ],
)
def test_what_cannot_be_averaged_is_one_line(spec, message):
    with pytest.raises(SepbenchError) as caught:
        method(spec).create()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_default_is_the_best_of_what_is_included():
    """The same on every machine, whatever is installed; its weights are for the mean alone."""
    included = [one.spec for one in PRESETS["acapella"] if one.reason == BEST_INCLUDED]
    assert [method("ensemble").label] == included
    assert method("ensemble[of=median]").label == "ensemble[unet-stereo+unet+blstm,of=median]"
    assert method("ensemble[of=median]").create().stems == ("vocals", "accompaniment")


def test_ensembles_may_be_members(song):
    flat = run("ensemble[hpss+hpss[margin=2]+2*mixture]", song)["percussive"]
    nested = run("ensemble[ensemble[hpss+hpss[margin=2]]+mixture]", song)["percussive"]
    torch.testing.assert_close(nested, flat, rtol=0, atol=1e-6)


@pytest.mark.parametrize("domain", ["stems", "spectra"])
@pytest.mark.parametrize(
    ("of", "share"), [("mean", 0.5), ("median", 0.4), ("min", 0.2), ("max", 0.9)]
)
def test_members_are_put_together_in_four_ways(song, domain, of, share):
    members = "mixture[gain=0.2]+mixture[gain=0.4]+mixture[gain=0.9]"
    spec = f"ensemble[{members},domain={domain},of={of}]"
    short = song[:, :12_000]
    torch.testing.assert_close(run(spec, short)["vocals"], share * short, rtol=0, atol=1e-5)


def test_the_median_of_an_even_number_is_the_mean_of_the_middle_two():
    stacked = torch.tensor([[1.0], [8.0], [2.0], [4.0]])
    assert averaging.combined(stacked, [0.25] * 4, "median") == 3
    turned = torch.complex(stacked, -stacked)
    assert averaging.combined(turned, [0.25] * 4, "median") == 3 - 3j


def test_the_largest_is_that_of_the_largest_magnitude_with_its_sign():
    stacked = torch.tensor([[0.5, 3j], [-2.0, 1.0]])
    assert averaging.combined(stacked, [0.5, 0.5], "max").tolist() == [-2, 3j]
    assert averaging.combined(stacked, [0.5, 0.5], "min").tolist() == [0.5, 1]


def test_a_member_may_count_more_for_some_stems(song):
    spec = "ensemble[vocals:3*mixture+mixture[gain=0.2]]"
    made = run(spec, song)
    torch.testing.assert_close(made["vocals"], (0.75 + 0.05) * song)
    torch.testing.assert_close(made["drums"], (0.5 + 0.1) * song)
