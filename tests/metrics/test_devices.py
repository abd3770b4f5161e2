"""Every metric on the stand-in for a GPU: a tensor made on the CPU is found on any machine."""

from __future__ import annotations

import pytest
import torch
from standin import DEVICE, WAITS, OnStandin, Standin, WrongDeviceError

from sepbench.metrics import golden
from sepbench.metrics.scorer import TrackScorer
from sepbench.registry.metrics import metrics, resolve_metrics

NAMES = [info.name for info in metrics() if info.reason is None]


def scores(name: str, device: torch.device | str) -> dict[str, dict[str, object]]:
    references, made = (
        {stem: torch.from_numpy(wave[:, : 2 * golden.RATE]) for stem, wave in group.items()}
        for group in golden.signals()
    )
    mixture = torch.stack(list(references.values())).sum(0)
    chosen = resolve_metrics([name])
    scorer = TrackScorer(references, mixture, golden.RATE, metrics=chosen, device=device)
    found = scorer.score(made, targets=golden.STEMS)
    for of_stem in found.values():
        assert not [note for note in of_stem.notes if note.startswith("metric ")], of_stem.notes
    return {stem: {**of_stem.totals, **of_stem.frames} for stem, of_stem in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_metric_makes_all_its_tensors_on_the_device(name: str) -> None:
    expected = scores(name, "cpu")
    with OnStandin():
        found = scores(name, DEVICE)
    for stem in golden.STEMS:
        for score, value in expected[stem].items():
            assert found[stem][score] == pytest.approx(value, rel=1e-6, nan_ok=True), score


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [("sdr", 2), ("bsseval", 5), ("mrstft-gensvs", 12)])
def test_a_gpu_waits_for_few_values_however_long_the_song(name: str, most: int) -> None:
    waits = []
    for seconds in (2, 4):
        references, made = (
            {stem: torch.from_numpy(wave[:, : seconds * golden.RATE]) for stem, wave in x.items()}
            for x in golden.signals()
        )
        mixture = torch.stack(list(references.values())).sum(0)
        with OnStandin():
            chosen = resolve_metrics([name])
            scorer = TrackScorer(references, mixture, golden.RATE, metrics=chosen, device=DEVICE)
            scorer.score(made, targets=golden.STEMS)
            WAITS.clear()
            scorer.score(made, targets=golden.STEMS)
        waits.append(WAITS.total())
    assert waits[0] == waits[1] <= most


def test_the_stand_in_finds_what_a_gpu_would() -> None:
    with OnStandin():
        there = torch.ones(3, device=DEVICE)
        assert there.device == DEVICE
        assert isinstance(there + 1, Standin)
        assert isinstance(there.new_zeros(2), Standin)
        assert isinstance(torch.ones(3).to(there), Standin)
        assert not isinstance(there.cpu(), Standin)
        with pytest.raises(WrongDeviceError, match="made on the CPU"):
            there + torch.ones(3)
        with pytest.raises(WrongDeviceError, match="call cpu"):
            there.numpy()
        assert there * torch.tensor(2.0) is not None
