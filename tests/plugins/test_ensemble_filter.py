"""The filter of stereo songs after the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from songs import noise, sdr

from sepbench import registry
from sepbench.dsp.wiener import MultichannelWiener
from sepbench.inference import overlap_add, runner
from sepbench.separator import BLOCK_ALIGNMENT, AnySeparator, Separator, option
from sepbench_plugins.ensemble import MethodEnsemble

CPU = torch.device("cpu")
RATE = 8000


class Rough(Separator):
    """A share of each sample as voice, filtered if not told otherwise."""

    name = "rough"
    summary = "For tests."
    stems = ("vocals", "accompaniment")
    remainder = "accompaniment"
    license = "MIT"
    citation = "none"
    sample_rate = RATE

    @dataclass(frozen=True)
    class Options:
        """Options."""

        wiener: int = option(-1, "iterations")

    options: Options

    def __init__(self, shares: torch.Tensor | float, options: Options | None = None) -> None:
        super().__init__(options)
        self.shares = shares

    @property
    def stereo_filter(self) -> MultichannelWiener:
        return MultichannelWiener(RATE, 1 if self.options.wiener < 0 else self.options.wiener)

    context = 0.0

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": self.voice(mixture)}

    def voice(self, mixture: torch.Tensor) -> torch.Tensor:
        """Return the voice before the filter."""
        return self.shares * mixture


class Middle(Rough):
    """Much of each sample that is alike in both channels, whatever block it is in."""

    def voice(self, mixture: torch.Tensor) -> torch.Tensor:
        is_middle = (mixture[0] - mixture[1]).abs() < mixture.mean(0).abs()
        return torch.where(is_middle, self.shares, 0.05) * mixture


@pytest.fixture(scope="module")
def stems() -> torch.Tensor:
    """A voice in the middle that comes and goes, and noise from the left."""
    voice, rest = noise(2, 16 * BLOCK_ALIGNMENT)
    voice *= (torch.arange(len(voice)) // 20_000 % 2 == 0).float()
    return torch.stack([torch.stack([voice, voice]), torch.stack([rest, 0.3 * rest])])


def voice_of(separator: AnySeparator, mixture: torch.Tensor) -> torch.Tensor:
    runner.load(separator, CPU)
    made = runner.separate(separator, mixture.numpy(), rate=RATE, device=CPU).stems
    np.testing.assert_allclose(sum(made.values()), mixture, atol=1e-5)
    return torch.from_numpy(made["vocals"])


def ensemble(*members: AnySeparator, **options: object) -> MethodEnsemble:
    names = "+".join(map(str, range(len(members))))
    return MethodEnsemble(MethodEnsemble.Options(methods=names, **options), members)


def test_the_mean_is_filtered_in_place_of_the_members(stems: torch.Tensor) -> None:
    mixture, sounds = stems.sum(0), stems[0, 0] != 0
    shares = [torch.where(sounds, loud, quiet) for loud, quiet in ((0.7, 0.1), (0.4, 0.05))]
    mean = sum(shares) / 2 * mixture
    expected = MultichannelWiener(RATE, 2).refine(mixture, {"vocals": mean})["vocals"]
    once = voice_of(ensemble(*map(Rough, shares)), mixture)
    torch.testing.assert_close(once, expected, rtol=0, atol=1e-5)
    each = voice_of(ensemble(*map(Rough, shares), wiener=0), mixture)
    assert sdr(stems[0], once) > sdr(stems[0], each) + 1
    assert sdr(stems[0], each) > sdr(stems[0], mean) + 1


def test_songs_of_one_channel_are_only_averaged(stems: torch.Tensor) -> None:
    mixture = stems.sum((0, 1))[None]
    made = voice_of(ensemble(Rough(0.5), Rough(0.7)), mixture)
    torch.testing.assert_close(made, 0.6 * mixture, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_blocks_are_inaudible(stems: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = stems.sum(0).repeat(1, 3)
    whole = voice_of(ensemble(Middle(0.5), Middle(0.9)), mixture)
    assert sdr(whole, voice_of(ensemble(Middle(0.5), Middle(0.9), wiener=0), mixture)) < 20
    monkeypatch.setattr(overlap_add, "BLOCK_SECONDS", 2 * BLOCK_ALIGNMENT / RATE)
    assert sdr(whole, voice_of(ensemble(Middle(0.5), Middle(0.9)), mixture)) > 80


def filters(spec: str) -> tuple[int, list[int]]:
    """Return the iterations of an ensemble's filter, and of the filters of its members."""
    made = registry.resolve(spec)[0].create()
    assert isinstance(made, MethodEnsemble)
    return made.stereo_filter.iterations, [
        member.stereo_filter.iterations for member in made.members if member.stereo_filter
    ]


@pytest.mark.parametrize(
    ("spec", "own", "members"),
    [
        ("ensemble[unet+mask-cnn]", 2, [0, 0]),
        ("ensemble[unet+ensemble[unet+mask-cnn]]", 2, [0, 0]),
        ("ensemble[unet+mask-cnn,domain=masks,wiener=1]", 1, [0, 0]),
        # Without a mean, or with a member that has no such filter, all stays as it is.
        ("ensemble[unet+mask-cnn,wiener=0]", 0, [1, 1]),
        ("ensemble[unet+mask-cnn,of=median]", 0, [1, 1]),
        ("ensemble[unet+mixture]", 0, [1]),
        ("ensemble[unet+mixture,wiener=1]", 1, [0]),
        ("ensemble[ensemble[mixture]+ensemble[repet-sim+mixture]]", 0, [0, 0]),
        ("ensemble[unet+ensemble[unet+mixture]]", 0, [0, 1]),
        ("ensemble[unet+ensemble[unet+mask-cnn,of=median]]", 0, [0, 1]),
        # A choice for a member holds.
        ("ensemble[unet[wiener=3]+mask-cnn]", 0, [1, 3]),
        ("ensemble[unet[wiener=0]+mask-cnn]", 0, [1, 0]),
    ],
)
def test_who_filters(spec: str, own: int, members: list[int]) -> None:
    found, of_members = filters(spec)
    assert (found, sorted(of_members)) == (own, sorted(members))


def test_the_filter_works_at_the_highest_rate_of_the_members() -> None:
    specs = ("ensemble[unet+mask-cnn[full_band=false]]", "ensemble[mixture,wiener=1]")
    rates = [registry.resolve(spec)[0].create().sample_rate for spec in specs]
    assert rates == [48_000, 44_100]
    assert registry.resolve("ensemble[unet+mixture]")[0].create().sample_rate is None
