from __future__ import annotations

import numpy as np
import pytest
import torch

from sepbench import registry
from sepbench.datasets.discovery import open_dataset
from sepbench.errors import SepbenchError
from sepbench.inference import runner

CPU = torch.device("cpu")


def separated(
    method: str, song: np.ndarray, block_seconds: float | None = None
) -> dict[str, np.ndarray]:
    separator = registry.resolve_all([method])[0].create()
    runner.load(separator, CPU)
    how = {"rate": 44_100, "device": CPU, "block_seconds": block_seconds}
    return dict(runner.separate(separator, song, **how).stems)


def test_silence_stays_closed_and_nothing_is_lost() -> None:
    rng = np.random.default_rng(0)
    song = (0.1 * rng.standard_normal((2, 44_100 * 2))).astype(np.float32)
    plain, gated = separated("repet-sim", song), separated("voice-gate[repet-sim]", song)
    assert (np.abs(gated["vocals"]) <= np.abs(plain["vocals"]) + 1e-6).all()
    assert np.allclose(gated["vocals"] + gated["accompaniment"], song, atol=1e-5)


def test_a_song_longer_than_a_block_is_gated_as_a_whole() -> None:
    excerpt = open_dataset("excerpt").tracks()[0].load(start=0, duration=6)
    song = np.concatenate([excerpt.references["accompaniment"], excerpt.mixture], axis=1)
    whole = separated("voice-gate[mixture]", song)["vocals"]
    in_blocks = separated("voice-gate[mixture]", song, block_seconds=2)["vocals"]
    assert 0.0 < (whole == 0).mean() < 1.0
    assert np.array_equal(in_blocks, whole)


def test_a_method_without_vocals_is_one_line() -> None:
    with pytest.raises(SepbenchError, match="makes no vocals"):
        registry.resolve_all(["voice-gate[hpss]"])[0].create()


def test_terms_that_the_method_and_the_detector_share_are_named_once() -> None:
    terms = registry.resolve_all(["voice-gate[unet]"])[0].create().license.split("; ")
    assert len(terms) == len(set(terms))
