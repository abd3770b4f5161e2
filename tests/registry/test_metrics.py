from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint

import commands
import pytest
import torch
from fake_metrics import Peak

from sepbench._util import entry_points
from sepbench.errors import SepbenchError
from sepbench.metrics.scorer import TrackScorer
from sepbench.options import option
from sepbench.registry import metrics as registry

FAKES = {
    "peak": "Peak",
    "raises": "Raises",
    "refuses": "Refuses",
    "wrong-shape": "WrongShape",
    "nan": "Nan",
    "thief": "Thief",
    "nameless": "Nameless",
    "lacking": "Lacking",
    "absent": "NoSuchClass",
    "renamed": "Peak",
}


@pytest.fixture
def installed(monkeypatch):
    """The fakes beside the bundled metrics."""
    real = entry_points.find
    points = {name: [EntryPoint(name, f"fake_metrics:{x}", "g")] for name, x in FAKES.items()}

    def find(group):
        return {**real(group), **points} if group == registry.METRIC_GROUP else real(group)

    monkeypatch.setattr(entry_points, "find", find)
    import_module("fake_metrics")  # What is imported is not tried in another process.
    for cached in (registry._load_all, registry._load):
        cached.cache_clear()
    yield
    for cached in (registry._load_all, registry._load):
        cached.cache_clear()


def scored(*names):
    generator = torch.Generator().manual_seed(0)
    references = {
        stem: torch.randn(2, 400, generator=generator) for stem in ("vocals", "accompaniment")
    }
    mixture = sum(references.values())
    scorer = TrackScorer(references, mixture, 100, metrics=registry.resolve_metrics(names))
    made = {name: 0.9 * stem for name, stem in references.items()}
    return scorer.score(made, targets=tuple(references))["vocals"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", "import failed: AttributeError"),
        ("nameless", "declares neither totals nor frames"),
        ("renamed", "must be the same word"),
        ("lacking", "pip install something"),
    ],
)
def test_a_broken_metric_is_a_row_and_an_error_by_name(installed, name, reason):
    rows = {row["name"]: row for row in json.loads(run("metrics", "--json"))}
    assert reason in rows[name]["reason"]
    assert rows["sdr"]["available"]
    with pytest.raises(SepbenchError, match=f"metric {name}: .*{reason}"):
        registry.resolve_metrics([name])


def test_a_group_leaves_out_what_lacks_something_and_says_so(installed):
    chosen = [metric.name for metric in registry.resolve_metrics(["fakes"])]
    assert chosen[:2] == ["sdr", "nan"]
    assert "lacking" not in chosen
    assert registry.left_out(["fakes"]) == ["metric lacking is left out: pip install something"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "metric raises: ValueError: no luck today"),
        ("refuses", "metric refuses: cannot take 100 Hz; resample to 16000 Hz"),
        ("wrong-shape", r"metric wrong-shape: returned (2, 3) for wrong-shape"),
    ],
)
def test_a_metric_that_fails_is_a_note_and_costs_no_other_score(installed, name, reason):
    scores = scored("raises", "refuses", "wrong-shape", "nan", "peak")
    assert any(note.startswith(reason) for note in scores.notes)
    assert math.isnan(scores.totals[name])
    assert math.isfinite(scores.totals["uSDR"])
    assert scores.totals["peak"] > 0


def test_two_metrics_cannot_store_a_score_under_one_name(installed):
    with pytest.raises(SepbenchError, match="sdr and thief both give 'uSDR'"):
        registry.resolve_metrics(["thief"])


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("sdrr", "did you mean 'sdr'"),
        ("bsseval[taps=3]", "metric bsseval: no option 'taps'; it has no options"),
        ("bsseval[", r"metric 'bsseval\[': its brackets do not match"),
        ("sdr,bsseval", "write --metric for each: --metric sdr --metric bsseval"),
        ("stoi", "'sepbench metrics' lists them"),
    ],
)
def test_wrong_names_and_parameters_are_one_line(spec, reason):
    with pytest.raises(SepbenchError, match=reason):
        registry.resolve_metrics([spec])


def test_a_metric_cannot_hide_a_published_protocol():
    point = EntryPoint("mdx", "mine:Mdx", registry.METRIC_GROUP)
    kind = type("Mdx", (Peak,), {"name": "mdx"})
    reason = registry.validate_metric(point, kind)
    assert reason == "'mdx' is the name of a published protocol; choose another name"


def test_a_metric_brings_its_own_protocol_with_unit_and_direction(installed):
    protocol = registry.protocol("peak")
    assert protocol.metrics == ("peak",)
    assert protocol.goodness(0.5) > protocol.goodness(0.7)
    assert registry.protocol("nussl").unit == "dB"
    with pytest.raises(SepbenchError, match="choose sisec18, mean, pooled"):
        registry.protocol("bsseval")
    with pytest.raises(SepbenchError, match="did you mean 'sisec18'"):
        registry.protocol("sisec8")


def test_scores_whose_metric_is_not_installed_have_a_protocol():
    found = registry.protocols_of(["SDR", "gone", "away one", "away two"])
    assert found["gone"].metrics == ("gone",)
    assert set(found["away"].metrics) == {"away one", "away two"}


def test_a_version_other_than_the_first_makes_scores_again(installed, monkeypatch):
    assert registry.metric_identities(["peak"]) == ["peak", "sdr"]
    monkeypatch.setattr(registry.metric("peak").metric, "version", "2")
    assert registry.metric_identities(["peak"]) == ["peak 2", "sdr"]


def test_the_list_says_what_each_metric_is():
    shown = run("metrics", "bsseval")
    for word in ("ISR by window", "dB", "higher is better", "museval 0.4.1", "sisec18"):
        assert word in shown
    rows = json.loads(run("metrics", "--json"))
    assert {"sdr", "bsseval", "nussl"} <= {row["name"] for row in rows}


def test_a_metric_may_be_named_with_its_options(installed, monkeypatch):
    @dataclass(frozen=True)
    class Options:
        power: int = option(1, "of the error", minimum=1)

    monkeypatch.setattr(registry.metric("peak").metric, "Options", Options)
    facts = json.loads(run("metrics", "peak[power=2]", "--json"))
    assert (facts["name"], facts["protocols"]) == ("peak", ["peak[power=2]"])
    for spec, message in {
        "peak[power=0]": "power=0: must be at least 1",
        "sdr[x=1]": "metric sdr: no option 'x'; it has no options",
        "sdr[": "brackets do not match",
    }.items():
        assert message in commands.run("metrics", spec).output


def test_metrics_are_listed_without_torch_and_pandas():
    code = (
        "import sys\nfrom sepbench.cli.main import main\n"
        "main(['metrics'], standalone_mode=False)\n"
        "sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def run(*words):
    done = commands.run(*words)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_group_is_not_taken_for_a_misspelt_metric() -> None:
    with pytest.raises(SepbenchError, match="'spectral'; it is a group, of bleedless, fullness"):
        registry.metric("spectral")
