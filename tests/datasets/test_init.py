from __future__ import annotations

import subprocess
import sys

import pytest

from sepbench.datasets import all_datasets, listing, open_dataset
from sepbench.datasets.selection import select
from sepbench.datasets.simulated import Simulated
from sepbench.errors import SepbenchError


def test_every_data_set_opens_by_its_name_and_says_what_it_is() -> None:
    for kind in all_datasets():
        dataset = open_dataset(kind.name)
        assert type(dataset) is kind
        assert all((kind.summary, kind.license, kind.how_to_get))
        assert "\n" not in kind.summary + kind.license + kind.how_to_get
    assert open_dataset("excerpt").is_available
    assert open_dataset("simulated").is_available


def test_a_misspelt_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(SepbenchError, match=r"'musdb18hq'; did you mean 'musdb18-hq'\?"):
        open_dataset("musdb18hq")
    with pytest.raises(SepbenchError, match="there are excerpt, simulated, dsd100"):
        open_dataset("zzz")


def test_tracks_are_chosen_by_glob_or_name() -> None:
    dataset = Simulated(count=12)
    assert len(select(dataset, "test")) == 12
    assert len(select(dataset, "all", ["*-00?"])) == 30
    chosen = select(dataset, "test", ["SIMULATED-001", "*-003"])
    assert [track.name for track in chosen] == ["simulated-001", "simulated-003"]
    with pytest.raises(SepbenchError, match="no track of simulated matches 'zzz'"):
        select(dataset, "test", ["zzz"])
    with pytest.raises(SepbenchError, match="no subset 'tset'; choose train, valid, test or all"):
        select(dataset, "tset")
    with pytest.raises(SepbenchError, match="excerpt has no tracks in subset 'train'"):
        select(open_dataset("excerpt"), "train")


def test_a_data_set_that_fails_costs_its_own_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError("index")

    monkeypatch.setattr(Simulated, "tracks", fails)
    with pytest.raises(SepbenchError, match="simulated: its tracks cannot be listed: KeyError"):
        select(open_dataset("simulated"), "test")
    monkeypatch.setattr(Simulated, "find_root", fails)
    reasons = {facts["name"]: facts["reason"] for facts in listing()}
    assert reasons["simulated"] == "KeyError: 'index'"
    assert reasons["excerpt"] is None
    monkeypatch.setattr(Simulated, "__init__", fails)
    with pytest.raises(SepbenchError, match="simulated: it cannot be opened: KeyError: 'index'"):
        open_dataset("simulated")


def test_data_sets_are_light_to_import_and_need_no_ffmpeg() -> None:
    program = """
import sys
import sepbench.datasets as datasets
heavy = {"torch", "scipy", "soundfile", "av", "yaml"} & set(sys.modules)
assert not heavy, heavy
datasets.open_dataset("excerpt").tracks()[0].load(duration=0.1)
assert not {"torch", "musdb", "stempeg"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
