from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
from songs import RATE, repeating_song, tone

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.inference.overlap_add import Samples
from sepbench.registry import Method
from sepbench.separator import Separator
from sepbench_plugins.chain import Chain

CPU = torch.device("cpu")


def method(spec: str) -> Method:
    (found,) = registry.resolve(spec)
    return found


def run(spec: str, mixture: Samples, **how: float) -> dict[str, Samples]:
    separator = method(spec).create()
    runner.load(separator, CPU)
    return runner.separate(separator, mixture, rate=RATE, device=CPU, **how).stems


@pytest.fixture(scope="module")
def song() -> Samples:
    mixture: Samples = sum(repeating_song(2.5).values()).numpy()
    return mixture


def test_a_chain_is_one_method_after_the_other(song: Samples) -> None:
    first = run("repet-sim", song)["accompaniment"]
    expected = run("hpss", first)
    made = run("chain[repet-sim.accompaniment > hpss]", song)
    assert made.keys() == expected.keys()
    for stem in expected:
        np.testing.assert_array_equal(made[stem], expected[stem])
    only = run("chain[repet-sim.accompaniment > hpss.percussive]", song)
    assert only.keys() == {"percussive"}
    np.testing.assert_array_equal(only["percussive"], expected["percussive"])


def test_the_rest_makes_the_stems_sum_to_the_mixture(song: Samples) -> None:
    made = run("chain[repet-sim.accompaniment > hpss,rest=vocals]", song)
    assert made.keys() == {"harmonic", "percussive", "residual", "vocals"}
    np.testing.assert_allclose(sum(made.values()), song, atol=1e-6)
    voice = run("chain[repet-sim.vocals > hpss.harmonic,stem=vocals,rest=accompaniment]", song)
    assert voice.keys() == {"vocals", "accompaniment"}
    np.testing.assert_allclose(sum(voice.values()), song, atol=1e-6)


def test_chains_go_to_any_depth(song: Samples) -> None:
    flat = run("chain[repet-sim.accompaniment > hpss.harmonic > hpss[margin=2].harmonic]", song)
    inner = "chain[repet-sim.accompaniment > hpss.harmonic].harmonic"
    nested = run(f"chain[{inner} > hpss[margin=2].harmonic]", song)
    np.testing.assert_array_equal(nested["harmonic"], flat["harmonic"])
    mean = run("ensemble[chain[repet-sim.accompaniment > hpss]+hpss]", song)
    assert mean.keys() == {"harmonic", "percussive", "residual"}


class Halving(Separator):
    """Half of the mixture, at a rate and on channels of its own."""

    name = "halving"
    summary = "For tests."
    stems = ("vocals", "drums", "bass", "other")
    license = "MIT; weights CC0-1.0"
    citation = "none"
    trained_on = ("musdb18/train",)
    context = 0.1

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        assert self.channels in (None, len(mixture))
        return dict(
            zip(self.stems, (mixture * share for share in (0.4, 0.1, 0.2, 0.3)), strict=True)
        )


class Stereo(Halving):
    sample_rate = 48_000
    channels = 2
    context = 0.7
    trained_on = ("dsd100/train",)


def chain(methods: str, *members: Separator) -> Chain:
    separator = Chain(Chain.Options(methods=methods), members)
    runner.load(separator, CPU)
    return separator


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_each_member_is_run_at_its_own_rate_in_its_own_blocks(channels: int) -> None:
    rate = 32_000
    mixture = tone(440, 7, rate, level=np.linspace(0.2, 0.8, channels))
    # The sum of three stems goes on.
    separator = chain("a.accompaniment > b.vocals", Halving(), Stereo())
    chunks = np.split(mixture, [100, 40_000, 40_001, 150_000], axis=1)
    parts = list(runner.stream(separator, chunks, rate=rate, device=CPU, block_seconds=2.0))
    made = np.concatenate([part["vocals"] for part in parts], axis=1)
    assert made.shape == mixture.shape
    inside = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(made[:, inside], 0.6 * 0.4 * mixture[:, inside], atol=2e-3)


def test_no_more_of_a_song_is_held_than_some_blocks() -> None:
    rate, seconds, read, written, most = 8_000, 60, 0, 0, 0
    separator = chain("a.vocals > b.vocals > c", Halving(), Stereo(), Halving())

    def chunks() -> Iterator[Samples]:
        nonlocal read
        for _ in range(2 * seconds):
            read += rate // 2
            yield np.zeros((1, rate // 2), np.float32)

    for part in runner.stream(separator, chunks(), rate=rate, device=CPU, block_seconds=2.0):
        most = max(most, read - written)
        written += part["vocals"].shape[1]
    assert written == seconds * rate
    assert most < 24 * rate


def test_facts_are_those_of_the_members() -> None:
    separator = chain("a.vocals > b", Halving(), Stereo())
    assert separator.stems == Halving.stems
    assert separator.trained_on == ("musdb18/train", "dsd100/train")
    assert separator.license == "MIT; weights CC0-1.0"
    identity = method("chain[repet-sim.accompaniment > hpss]").identity
    assert [member["method"] for member in identity["members"]] == ["repet-sim", "hpss"]
    assert identity != method("chain[repet-sim.vocals > hpss]").identity


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("chain[repet-sim > hpss]", "choose a stem of repet-sim: repet-sim.STEM"),
        ("chain[repet-sim.drums > hpss]", "repet-sim has no stem 'drums'; it has vocals, accomp"),
        ("chain[repet-sim.vocals > hpss.vocals]", "hpss has no stem 'vocals'; it has harmonic"),
        ("chain[repet-sim.vocals > ]", "write it as METHOD.STEM > METHOD.STEM"),
        ("chain[repet-sim.vocals > nothing]", "cannot have nothing: no method 'nothing'"),
        ("chain[oracle-irm.vocals > hpss]", "oracle-irm is an oracle"),
        ("chain[repet-sim.vocals > hpss,stem=vocals]", "the chain ends in harmonic, percussive"),
        ("chain[repet-sim.vocals > hpss,rest=harmonic]", "rest=harmonic: the chain ends in it"),
        ("chain[repet-sim.vocals > hpss,rest=No Voice]", "'No Voice' cannot be a stem"),
    ],
)
def test_what_cannot_be_chained_is_one_line(spec: str, message: str) -> None:
    with pytest.raises(SepbenchError) as caught:
        method(spec).create()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class AtLevel(Separator):
    """Half of the song, fed at a level."""

    name, summary, license, citation = "at-level", "For tests.", "MIT", "Nobody, 2026"
    stems, context, level = ("vocals", "accompaniment"), 0.0, -20.0

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": 0.5 * mixture, "accompaniment": 0.25 * mixture}


@pytest.mark.slow
def test_a_chain_takes_a_song_of_any_length_in_pieces() -> None:
    """The level of the song is that of its first member: it need not be held to be measured."""
    first, last = AtLevel(), method("hpss").create()
    chain = Chain(Chain.Options("at-level.accompaniment > hpss"), [first, last])
    runner.load(chain, CPU)
    taken = 0

    def pieces() -> Iterator[Samples]:
        nonlocal taken
        for start in range(20):
            taken += 1
            yield tone(440 + start, 5.0)

    level = runner.song_level(chain, list(pieces()), RATE)
    taken = 0
    stream = runner.stream(chain, pieces(), rate=RATE, device=CPU, block_seconds=5, level=level)
    made = [next(stream)]
    assert taken < 10
    made += stream
    song = np.concatenate(list(pieces()), axis=1)
    before = runner.separate(first, song, rate=RATE, device=CPU, block_seconds=5)
    after = runner.separate(
        last, before.stems["accompaniment"], rate=RATE, device=CPU, block_seconds=5
    )
    for stem, expected in after.stems.items():
        whole = np.concatenate([piece[stem] for piece in made], axis=1)
        np.testing.assert_allclose(whole, expected, atol=1e-6)


def test_a_later_member_at_a_level_needs_the_whole_stem() -> None:
    chain = Chain(Chain.Options("at-level.vocals > at-level"), [AtLevel(), AtLevel()])
    assert chain.context is None
    chain = Chain(Chain.Options("at-level.vocals > hpss"), [AtLevel(), method("hpss").create()])
    assert chain.context is not None
