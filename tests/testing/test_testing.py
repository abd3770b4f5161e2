"""Each way of breaking the contract is found by the fact that names it, and by no other."""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import sys
import unittest
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import Calm

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.registry.facts import invalid_fact
from sepbench.separator import Requirement, Separator, WeightFile, option
from sepbench.testing import checks
from sepbench.testing.check import FAILED, NOT_APPLICABLE, NOT_SEEN, NOTE, PASSED, Outcome
from sepbench.testing.examination import CHECKS, Examination, find, run_check
from sepbench.testing.signals import decibels, song
from sepbench.testing.subject import Subject

FOLDER = Path(__file__).parent.parent

Stems = Mapping[str, torch.Tensor]


class Good(Calm):
    name = "good"
    citation = "Nobody, 2026"
    sample_rate = 8000


class FalseLicense(Good):
    license = "free for all"


class NoSource(Good):
    citation = "TODO"


class LongSummary(Good):
    summary = "word " * 40


class StrangeStem(Good):
    stems = ("Lead Voice",)
    remainder = None


class StrayRemainder(Good):
    remainder = "drums"


class Doubled(Good):
    stems = ("vocals", "vocals", "accompaniment")


class ThreeChannels(Good):
    channels = 3


class Unlimited(Good):
    @dataclass(frozen=True)
    class Options:
        gain: float = option(1.0, "factor")


class Helpless(Good):
    @dataclass(frozen=True)
    class Options:
        gain: float = option(1.0, "", minimum=0)


class BeyondItself(Good):
    @dataclass(frozen=True)
    class Options:
        gain: float = option(2.0, "factor", minimum=0, maximum=1)


class LimitCrashes(Good):
    @dataclass(frozen=True)
    class Options:
        parts: int = option(2, "parts", minimum=0, maximum=9)

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.share = 1 / self.options.parts


class LostChoice(Good):
    @dataclass(frozen=True)
    class Options:
        way: str = option("left", "where", choices=("left", "right"))

    options: Options

    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": {"left": mixture}[self.options.way] / 2}


class NoFile(Good):
    weight_files = (WeightFile("none", "0" * 64, path=FOLDER / "none.safetensors"),)
    trained_on = ("songs",)


class DamagedFile(Good):
    weight_files = (WeightFile("fakes.py", "0" * 64, path=FOLDER / "fakes.py"),)
    trained_on = ("songs",)


class SecretData(Good):
    weight_files = (WeightFile("fakes.py", "0" * 64, path=FOLDER / "fakes.py"),)


class SecondStem(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture / 2, "accompaniment": mixture / 2}


class Cut(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture[:, : mixture.shape[1] // 512 * 512] / 2}


class Double(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture.double() / 2}


class SixteenBits(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": (16384 * mixture).short()}


class ZeroByZero(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture * (torch.zeros(1) / torch.zeros(1))}


class ByLevel(Good):
    """Silence is 0 / 0 for it."""

    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture / mixture.abs().max() / 2}


class Hiss(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture / 2 + 0.01}


class Mute(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture * 0}


class LongOnly(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        frames = mixture.unfold(1, 1024, 512)
        return {"vocals": mixture / frames.shape[-1]}


class StereoOnly(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        left, right = mixture
        return {"vocals": torch.stack([left - right, right - left])}


class Nearsighted(Good):
    """Each sample depends on how far it is from the end; it says on itself alone."""

    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture * torch.linspace(0, 1, mixture.shape[1])}


class Moody(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        self.mood = getattr(self, "mood", 0.5) * 0.9
        return {"vocals": mixture * self.mood}


class Impressed(Good):
    """Keeps the loudest level it has heard; the first song after a song of another length shows."""

    def separate(self, mixture: torch.Tensor) -> Stems:
        last, self.last = getattr(self, "last", mixture.shape[1]), mixture.shape[1]
        return {"vocals": mixture * (0.5 if last >= self.last else 0.4)}


class Reborn(Good):
    born = 0

    def load(self, device: torch.device) -> None:
        Reborn.born += 1
        self.share = 1 / (1 + Reborn.born)

    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture * self.share}


class Drawing(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        random.random()  # noqa: S311
        np.random.standard_normal(3)  # noqa: NPY002
        return {"vocals": mixture / 2}


class Seeding(Good):
    def load(self, device: torch.device) -> None:
        torch.manual_seed(0)


class Meddling(Good):
    def load(self, device: torch.device) -> None:
        os.environ["MEDDLED"] = "yes"
        torch.set_num_threads(torch.get_num_threads() + 1)


class InPlace(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": mixture.mul_(0.5)}


class Talking(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        print("separating...")  # noqa: T201
        return {"vocals": mixture / 2}


class Starting(Good):
    """A method that starts a program, whose output nobody catches."""

    def separate(self, mixture: torch.Tensor) -> Stems:
        subprocess.run([sys.executable, "-c", "print('progress: 100 %')"], check=True)
        return {"vocals": mixture / 2}


class Calling(Good):
    """A method that calls a C library, which keeps what it prints in a buffer of its own."""

    def separate(self, mixture: torch.Tensor) -> Stems:
        ctypes.CDLL(None).printf(b"initialized\n")
        return {"vocals": mixture / 2}


class Hoarding(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        self.songs = [*getattr(self, "songs", []), torch.ones(5_000_000)]
        return {"vocals": mixture / 2}


class Compressing(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        return {"vocals": torch.tanh(mixture)}


class NeedsAll(Good):
    needs = (Requirement("a_module_nobody_has", "pip install nothing"),)


class Unreadable(Good):
    """A method whose facts are in a file that is broken."""

    @property
    def stems(self) -> tuple[str, ...]:
        raise SepbenchError("card.yaml: no field 'stems'")

    @property
    def sample_rate(self) -> int:
        raise SepbenchError("card.yaml: no field 'rate'")


class FromFile(Unreadable):
    @dataclass(frozen=True)
    class Options:
        file: str = option("", "the file with its facts")


class Raising(Good):
    def separate(self, mixture: torch.Tensor) -> Stems:
        raise ValueError("no luck today")


FAULTS: list[tuple[type[Separator], set[str]]] = [
    (FalseLicense, {"license"}),
    (NoSource, {"citation"}),
    (LongSummary, {"summary"}),
    (StrangeStem, {"contract"}),
    (StrayRemainder, {"contract"}),
    (Doubled, {"contract"}),
    (ThreeChannels, {"contract"}),
    (Unlimited, {"ranges"}),
    (Helpless, {"options"}),
    (BeyondItself, {"options"}),
    (LimitCrashes, {"ranges"}),
    (LostChoice, {"choices"}),
    (NoFile, {"weights"}),
    (DamagedFile, {"weights"}),
    (SecretData, {"weights", "trained-on"}),
    (SecondStem, {"returned-stems"}),
    (Cut, {"shapes"}),
    (Double, {"dtype"}),
    (ZeroByZero, {"finite"}),
    (ByLevel, {"silent-song", "blocks-alike"}),
    (Hiss, {"silent-song"}),
    (Mute, {"audible"}),
    (LongOnly, {"lengths"}),
    (StereoOnly, {"channels"}),
    (Nearsighted, {"blocks-alike"}),
    (Moody, {"deterministic", "forgets", "blocks-alike"}),
    (Impressed, {"forgets", "blocks-alike"}),
    (Reborn, {"reloads"}),
    (Drawing, {"random-state"}),
    (Seeding, {"random-state"}),
    (Meddling, {"process-state"}),
    (InPlace, {"input-kept"}),
    (Talking, {"quiet"}),
    (Starting, {"quiet"}),
    (Calling, {"quiet"}),
    (Hoarding, {"leaks"}),
    (Raising, {"separates"}),
]


@pytest.fixture(autouse=True)
def _as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    os.environ.pop("MEDDLED", None)


def failed(kind: type[Separator]) -> set[str]:
    """Return the facts that fail, but for the one that takes a process of its own each time."""
    found = set()
    for check in checks(kind, seconds=6):
        if check.__name__ != "light-import":
            try:
                check()
            except AssertionError:
                found.add(check.__name__)
            except unittest.SkipTest:
                pass
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "facts"), FAULTS, ids=[kind.__name__ for kind, _ in FAULTS])
def test_a_fault_is_found_by_the_fact_that_names_it(kind, facts):
    assert failed(kind) == facts


@pytest.mark.slow
def test_a_good_separator_passes():
    assert failed(Good) == set()


def test_integers_are_no_sound() -> None:
    """The check finds what the commands refuse."""
    got = outcome(SixteenBits, "separates")
    assert (got.status, got.got) == (FAILED, "vocals of int16, expected float32 with full scale 1")


def test_what_others_print_is_no_part_of_the_report(capfd: pytest.CaptureFixture[str]) -> None:
    target = find(f"{__name__}:Starting", seconds=2)
    found = [run_check((target, name)) for name in ("separates", "quiet")]
    assert found[1].got == "'progress: 100 %'"
    out, _ = capfd.readouterr()
    assert out == ""


def outcome(kind: type[Separator], fact: str, **options: object) -> Outcome:
    method = registry.variant(kind, options)
    examination = Examination(lambda check: check.run(lambda: Subject(method)), CHECKS)
    return examination.outcome(CHECKS[fact])


def test_a_method_that_minds_the_level_is_noted_not_failed():
    gain = outcome(Compressing, "gain")
    assert gain.status == NOTE
    assert "differ by" in gain.got


def test_an_empty_default_may_be_filled_in_by_other_options() -> None:
    @dataclass(frozen=True)
    class Options:
        size: str = option("small", "of the network", choices=("small", "large"))
        file: str = option("", "its weights, by default those of the size")

        def __post_init__(self) -> None:
            object.__setattr__(self, "file", self.file or f"{self.size}.safetensors")

    sized = type("Sized", (Good,), {"Options": Options})
    assert outcome(sized, "options").status == PASSED
    large = Subject(registry.variant(sized, {})).with_options(size="large")
    assert large.options.file == "large.safetensors"


def test_behind_a_gate_nothing_is_looked_at():
    assert outcome(NeedsAll, "needs").status == NOT_APPLICABLE
    assert outcome(NeedsAll, "separates").status == NOT_SEEN
    assert outcome(NeedsAll, "license").status == PASSED


@pytest.mark.parametrize("fact", ["stems", "host-facts"])
def test_facts_that_cannot_be_read_fail_unless_an_option_must_be_given(fact):
    for found in (outcome(Unreadable, fact), outcome(FromFile, fact, file="card.yaml")):
        assert found.status == FAILED
        assert found.got.startswith("card.yaml: no field")
    assert outcome(FromFile, fact).status == NOT_APPLICABLE


@pytest.mark.parametrize("rate", [1000, 768_000])
def test_the_kit_takes_every_rate_that_the_registry_takes(rate):
    class AtRate(Good):
        sample_rate = rate

    assert invalid_fact(AtRate()) is None
    assert outcome(AtRate, "host-facts").status == PASSED


@pytest.mark.slow
def test_facts_that_are_read_with_torch_are_reported():
    light = outcome(Good, "light-import")
    assert light.status == FAILED
    assert "torch" in light.got


@pytest.mark.slow
def test_a_class_within_a_function_is_not_found_by_others():
    class Hidden(Good):
        pass

    assert failed(Hidden) == {"importable"}


def test_the_song_is_the_same_each_time_and_loud_enough():
    once, again = (song(samples=8000, rate=8000, channels=2, seed=3) for _ in range(2))
    assert torch.equal(once.mixture, again.mixture)
    assert not torch.equal(once.mixture[0], once.mixture[1])
    assert -40 < 10 * once.mixture.square().mean().log10() < -10
    assert set(once.stems) == {"vocals", "drums", "bass", "other"}


def test_decibels_are_those_of_energy():
    signal = torch.ones(1, 100)
    assert decibels(0.1 * signal, signal) == pytest.approx(-20)
    assert decibels(0 * signal, signal) == -200
