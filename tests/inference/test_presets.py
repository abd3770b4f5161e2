from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest
from fakes import Calm

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import presets
from sepbench.inference.presets import PRESETS, Choice, choose, choose_default
from sepbench.registry import Method
from sepbench.separator import NoOptions, Separator, WeightFile
from sepbench.stems import with_sums

ALL = [(name, choice) for name, choices in PRESETS.items() for choice in choices]
REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "summary.csv"


class Fetched(Calm):
    name = "fetched"
    weight_files = (WeightFile("a.pth", "0" * 64, "https://x.org/a.pth", size=1, terms="MIT"),)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mapping[str, type[Separator]]:
    monkeypatch.setenv("SEPBENCH_CACHE", str(tmp_path))
    known = {"calm": Calm, "fetched": Fetched}

    def resolve(spec: str) -> list[Method]:
        if spec not in known:
            raise SepbenchError(f"method {spec}: needs luck, which is not installed")
        return [Method(spec, known[spec], NoOptions(), "tests 1")]

    monkeypatch.setattr(registry, "resolve", resolve)
    choices = [Choice(name, "vocals") for name in ("absent", "fetched", "calm")]
    monkeypatch.setitem(presets.PRESETS, "some", tuple(choices))
    monkeypatch.setitem(presets.PRESETS, "none", tuple(choices[:2]))
    return known


@pytest.mark.usefixtures("made_up")
def test_the_first_method_that_is_installed_and_has_its_weights_is_chosen(tmp_path: Path) -> None:
    chosen = choose("some")
    assert chosen.method.name == "calm"
    assert "not installed" in chosen.passed_over["absent"]
    assert "'sepbench weights fetch fetched' fetches them" in chosen.passed_over["fetched"]
    with pytest.raises(SepbenchError, match="preset none: none of its methods can be used"):
        choose("none")
    weights = tmp_path / "weights" / "fetched" / "a.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    assert choose("some").method.name == "fetched"


def test_a_method_that_is_here_is_not_among_the_missing_ones() -> None:
    chosen = choose_default(["drums"])
    assert chosen.method.name == "four-stems"
    assert not {"unet-stereo", "repet-sim"} & set(chosen.passed_over)  # They make no drums.
    assert all("does not make" not in reason for reason in chosen.passed_over.values())


@pytest.mark.parametrize(
    ("stem", "cure"),
    [
        ("vocal", "did you mean 'vocals'?"),
        ("instrumental", "did you mean 'accompaniment'?"),
        ("percusive", "did you mean 'percussive'?"),
        ("guitar", "choose a --method that makes it"),
    ],
)
def test_a_stem_that_no_default_makes_is_answered_in_a_few_words(stem: str, cure: str) -> None:
    with pytest.raises(SepbenchError) as error:
        choose_default([stem])
    assert str(error.value) == f"no --method: none of its methods makes {stem!r}; {cure}"


def test_the_reason_of_a_default_is_of_the_stem_that_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = type("All", (Calm,), {"stems": ("vocals", "drums", "bass", "other"), "remainder": None})

    def resolve(spec: str) -> list[Method]:
        if spec != "four-stems":
            raise SepbenchError(f"method {spec}: not here")
        return [Method(spec, made, NoOptions(), "tests 1")]

    monkeypatch.setattr(registry, "resolve", resolve)
    assert choose_default(["bass"]).choice == PRESETS["bass"][-1]
    (drums,) = (choice for choice in PRESETS["drums"] if choice.spec == "four-stems")
    assert choose_default(["drums"]).choice == drums
    for stems in (["harmonic"], ["drums", "bass"]):
        found = choose_default(stems).choice
        assert found == Choice("four-stems", ", ".join(stems))
        assert not found.why


@pytest.mark.slow
@pytest.mark.parametrize(("name", "choice"), ALL, ids=lambda part: getattr(part, "spec", part))
def test_every_choice_is_a_method_that_makes_its_stem(name: str, choice: Choice) -> None:
    usable = {entry.name for entry in registry.plugins() if entry.separator is not None}
    if choice.spec.partition("[")[0] not in usable:
        pytest.skip(f"{choice.spec} is not installed")
    (method,) = registry.resolve(choice.spec)
    assert choice.stem in with_sums(dict.fromkeys(method.create().stems, 0))
    assert choice.why


def test_scores_are_those_of_the_reference_results_best_first() -> None:
    with REFERENCE.open(newline="") as file:
        found = {
            (row["label"], row["stem"]): float(row["value"])
            for row in csv.DictReader(file)
            if row["protocol"] == "sisec18" and row["metric"] == "SDR"
        }
    compared = 0
    for choices in PRESETS.values():
        scores = [choice.score for choice in choices if choice.score is not None]
        assert scores == sorted(scores, reverse=True)
        for choice in choices:
            if choice.score is not None and (choice.spec, choice.stem) in found:
                assert choice.score == pytest.approx(found[choice.spec, choice.stem], abs=0.006)
                compared += 1
    assert compared >= 4


def test_every_preset_can_be_had_with_what_comes_with_the_program() -> None:
    for name in PRESETS:
        assert not choose(name).method.is_oracle
