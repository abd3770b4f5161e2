"""Validation scores of songs, singing or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sepbench.errors import SepbenchError
from sepbench.training.data.prepare import prepare
from sepbench.training.data.recording import Recording
from sepbench.training.mix_config import MixConfig
from sepbench.training.model import Batch, Trainable
from sepbench.training.passages import Passage, passages
from sepbench.training.training_config import TrainingConfig
from sepbench.training.validate import Songs, passage_scores, songs_of

CPU = torch.device("cpu")


class Halving(Trainable):
    """Takes half of the mixture for the voice."""

    method = "halving"
    rate = 8000
    context = 0.0

    def __init__(self, model: Mapping[str, Any] | None = None) -> None:
        super().__init__(model or {})

    def network(self) -> nn.Module:
        return nn.Identity()

    def features(self, mixture: torch.Tensor) -> torch.Tensor:
        return mixture

    def targets(self, stems: Batch) -> Batch:
        return stems

    def loss(self, output: torch.Tensor, targets: Batch) -> torch.Tensor:
        return (output - targets["vocals"]).square().mean()

    def estimates(self, network: nn.Module, mixture: torch.Tensor) -> Batch:
        return {"vocals": 0.5 * mixture}


def passage(song: str, *, voice: float, backing: float, source: str = "songs") -> Passage:
    stems = {
        "vocals": torch.full((1000,), voice),
        "accompaniment": torch.full((1000,), backing),
    }
    return Passage(source, song, stems)


def db(ratio: float) -> float:
    return 10 * math.log10(ratio)


def test_the_score_of_a_song_is_that_of_all_its_passages_together() -> None:
    chosen = [passage("a", voice=0.4, backing=0.0), passage("a", voice=0.1, backing=0.3)]
    scores = passage_scores(Halving(), nn.Identity(), chosen, device=CPU)
    truth, error = 0.4**2 + 0.1**2, 0.2**2 + 0.1**2
    assert scores["songs"] == pytest.approx(db(truth / error), abs=1e-3)


def test_sound_where_nobody_sings_lowers_the_score_of_a_song() -> None:
    sung = passage("a", voice=0.4, backing=0.2)
    silent = passage("a", voice=0.0, backing=0.0)
    played = passage("a", voice=0.0, backing=0.4)
    quiet = passage_scores(Halving(), nn.Identity(), [sung, silent], device=CPU)
    leaking = passage_scores(Halving(), nn.Identity(), [sung, played], device=CPU)
    truth, error = 0.4**2, 0.1**2
    assert quiet["songs"] == pytest.approx(db(truth / error), abs=1e-3)
    assert leaking["songs"] == pytest.approx(db(truth / (error + 0.2**2)), abs=1e-3)


def test_songs_and_sources_count_alike() -> None:
    long = [passage("a", voice=0.8, backing=0.0) for _ in range(5)]
    short = [passage("b", voice=0.1, backing=0.2)]
    other = [passage("c", voice=0.1, backing=0.3, source="album")]
    scores = passage_scores(Halving(), nn.Identity(), long + short + other, device=CPU)
    assert scores["songs"] == pytest.approx(
        (db(0.8**2 / 0.4**2) + db(0.1**2 / 0.05**2)) / 2, abs=1e-3
    )
    assert scores["album"] == pytest.approx(db(0.1**2 / 0.1**2), abs=1e-3)
    assert scores["mean"] == pytest.approx((scores["songs"] + scores["album"]) / 2)


def test_songs_without_singing_have_no_score() -> None:
    chosen = [passage("a", voice=0.0, backing=0.4), passage("b", voice=0.4, backing=0.2)]
    scores = passage_scores(Halving(), nn.Identity(), chosen, device=CPU)
    assert scores["songs"] == pytest.approx(db(0.4**2 / 0.1**2), abs=1e-3)
    assert math.isnan(passage_scores(Halving(), nn.Identity(), chosen[:1], device=CPU)["mean"])


def test_passages_without_singing_are_drawn_too_and_pictures_show_singing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    verse = np.concatenate([np.zeros(8000), rng.normal(0, 0.1, 8000)]).astype(np.float32)
    band = rng.normal(0, 0.1, 16000).astype(np.float32)
    song = Recording(
        "songs",
        "late voice",
        ("vocals", "accompaniment"),
        lambda rate: {"vocals": [verse], "accompaniment": [band]},
        "valid",
    )
    data, _ = prepare([song], tmp_path, rate=8000)
    chosen = passages(data, seconds=1.0)
    assert [bool(part.stems["vocals"].any()) for part in chosen] == [False, True]
    assert {part.song for part in chosen} == {"late voice"}
    assert Songs(chosen).loudest(1) == [chosen[1]]


@pytest.mark.parametrize("source", ["mean", "epoch", "loss vocals", "validation loss"])
def test_songs_whose_score_would_take_the_place_of_another_entry_are_refused(
    tmp_path: Path, source: str
) -> None:
    clip = np.full(8000, 0.1, np.float32)
    parts = ("vocals", "accompaniment")
    song = Recording(source, "one", parts, lambda rate: {part: [clip] for part in parts}, "valid")
    data, _ = prepare([song], tmp_path, rate=8000)
    with pytest.raises(SepbenchError, match=f"a folder called '{source}'"):
        songs_of(data, "valid", MixConfig(), trainable=Halving(), settings=TrainingConfig())
