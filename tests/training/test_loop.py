from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.image import imread
from torch import nn

from sepbench.dsp.stft import Stft
from sepbench.errors import SepbenchError
from sepbench.training import checkpoint
from sepbench.training.batch_statistics import update_statistics
from sepbench.training.curves import draw_curves
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.epoch import Epoch
from sepbench.training.examples import Examples
from sepbench.training.initial import load_initial
from sepbench.training.loop import Run
from sepbench.training.lr_finder import find_learning_rate
from sepbench.training.masking import MaskTrainable
from sepbench.training.mix_config import MixConfig
from sepbench.training.passages import passages
from sepbench.training.schedules import SCHEDULES, schedule
from sepbench.training.training_config import TrainingConfig
from sepbench.training.validate import Songs

CPU = torch.device("cpu")
SETTINGS = TrainingConfig(
    epochs=2, examples=8, batch_size=4, learning_rate=0.01, workers=0, average=0.5
)


class PerBin(nn.Module):
    """One number for each bin: enough to tell a high tone from a low one."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(65, 1))
        self.dropout = nn.Dropout(0.1)

    def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(
            self.level + 0 * self.dropout(magnitudes) + torch.zeros_like(magnitudes)
        )


class Tiny(MaskTrainable):
    method = "tiny"
    rate = 8000
    stft = Stft(n_fft=128, hop=64)
    bins = 65
    objective = "energy"

    def __init__(self, model: Mapping[str, Any] | None = None) -> None:
        super().__init__(model or {})

    def network(self) -> nn.Module:
        return PerBin()


def run(folder: Path, settings: TrainingConfig = SETTINGS) -> Run:
    return Run(Tiny(), settings, folder, CPU)


def examples(dataset: PreparedDataset) -> Examples:
    return Examples(dataset.split("train"), MixConfig(seconds=0.5), seed=0, count=1000)


def songs(dataset: PreparedDataset, each: int = 1) -> Songs:
    validation = Examples(dataset.split("valid"), MixConfig(seconds=0.5), seed=9, count=4)
    return Songs(passages(dataset, seconds=1.0, each=each), validation)


def test_a_run_resumes_only_with_its_own_songs(dataset: PreparedDataset, tmp_path: Path) -> None:
    ours = Run(Tiny(), SETTINGS, tmp_path, CPU, {"data_sha256": "ours"})
    ours.train(examples(dataset), songs(dataset))
    Run(Tiny(), SETTINGS, tmp_path, CPU, {"data_sha256": "ours"}).resume()
    with pytest.raises(SepbenchError, match="songs differ; give the same data"):
        Run(Tiny(), SETTINGS, tmp_path, CPU, {"data_sha256": "theirs"}).resume()


def test_a_run_that_diverges_stops_at_once(dataset: PreparedDataset, tmp_path: Path) -> None:
    diverging = run(tmp_path, TrainingConfig(epochs=3, examples=8, batch_size=4, workers=0))
    with torch.no_grad():
        next(diverging.network.parameters()).fill_(float("nan"))
    with pytest.raises(SepbenchError, match=r"from step 1 on: the weights level .* lower"):
        diverging.train(examples(dataset), songs(dataset))
    assert not (tmp_path / "last.pt").exists()


class NanLoss(Tiny):
    """Has a loss that is NaN whatever the network says."""

    def loss(self, output: torch.Tensor, targets: Any) -> torch.Tensor:
        return super().loss(output, targets) / 0 - math.inf


class RootLoss(Tiny):
    """Has a loss of 0 whose gradient is NaN: that of the square root of 0."""

    def loss(self, output: torch.Tensor, targets: Any) -> torch.Tensor:
        return (0 * super().loss(output, targets)).sqrt()


@pytest.mark.parametrize(
    ("trainable", "message"),
    [
        (NanLoss, "from step 1 on: the loss function returns it for finite output and targets"),
        (RootLoss, "loss is finite, but its gradient with respect to level is NaN or infinite"),
    ],
)
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_loss_of_one_s_own_that_makes_nan_is_named(
    dataset: PreparedDataset, tmp_path: Path, trainable: type[Tiny], message: str, clip: float
) -> None:
    settings = TrainingConfig(epochs=1, examples=8, batch_size=4, workers=0, clip=clip)
    with pytest.raises(SepbenchError, match=message):
        Run(trainable(), settings, tmp_path, CPU).train(examples(dataset), songs(dataset))
    assert not (tmp_path / "last.pt").exists()


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    chosen = songs(dataset)
    whole = run(tmp_path / "whole")
    whole.train(examples(dataset), chosen)

    class Stopped(Exception):  # noqa: N818 - it stands for Ctrl-C
        pass

    def stop(step: int, loss: float) -> None:
        if step == 3:
            raise Stopped

    broken = run(tmp_path / "broken")
    with pytest.raises(Stopped):
        broken.train(examples(dataset), chosen, on_step=stop)
    resumed = run(tmp_path / "broken")
    resumed.resume()
    assert resumed.epoch == 1
    resumed.train(examples(dataset), chosen)
    for ours, theirs in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert whole.best == resumed.best
    assert [e["loss"] for e in whole.history] == [e["loss"] for e in resumed.history]


def test_training_finds_the_voice(dataset: PreparedDataset, tmp_path: Path) -> None:
    settings = TrainingConfig(
        epochs=3, examples=80, batch_size=8, learning_rate=0.3, workers=0, average=0.0
    )
    seen = []
    run(tmp_path, settings).train(examples(dataset), songs(dataset, 2), on_epoch=seen.append)
    assert seen[-1].scores["songs"] > 3
    assert seen[-1].loss < seen[0].loss
    assert (tmp_path / "best.pt").exists()


def test_it_stops_where_nothing_gets_better(dataset: PreparedDataset, tmp_path: Path) -> None:
    settings = TrainingConfig(
        epochs=9, examples=4, batch_size=4, learning_rate=1e-12, workers=0, patience=2
    )
    stopped = run(tmp_path, settings)
    stopped.train(examples(dataset), songs(dataset))
    assert stopped.epoch < 9


def test_patience_counts_from_one_validation_to_the_next(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    settings = TrainingConfig(
        epochs=9, examples=4, batch_size=4, learning_rate=1e-12, workers=0, patience=2,
        validate_every=4,
    )  # fmt: skip
    stopped = run(tmp_path, settings)
    stopped.train(examples(dataset), songs(dataset))
    assert stopped.epoch == 4


def test_a_stop_between_both_checkpoints_keeps_the_best_weights(
    dataset: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole")
    whole.train(examples(dataset), songs(dataset))
    save, saved = checkpoint.save, list[str]()

    def stop_after_the_first(path: Path, state: dict[str, Any]) -> None:
        saved.append(path.name)
        save(path, state)
        if len(saved) == 3:  # The first of two files of the second epoch.
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stop_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut").train(examples(dataset), songs(dataset))
    monkeypatch.undo()
    resumed = run(tmp_path / "cut")
    resumed.resume()
    resumed.train(examples(dataset), songs(dataset))
    assert resumed.best_epoch == whole.best_epoch == 2
    found, wanted = (
        checkpoint.load(folder / "best.pt", CPU)["weights"]["level"]
        for folder in (tmp_path / "cut", tmp_path / "whole")
    )
    assert found.equal(wanted)


def test_a_run_begun_in_half_precision_goes_on_without_and_the_other_way(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    begun = run(tmp_path)
    begun.train(examples(dataset), songs(dataset))
    further = run(tmp_path)
    further._half = torch.amp.GradScaler("cpu", enabled=True)
    further.resume()
    assert further.epoch == 2


def test_a_run_begins_with_the_weights_of_another(dataset: PreparedDataset, tmp_path: Path) -> None:
    chosen = songs(dataset)
    known = {"data_sha256": "a", "trained_on": ["old"], "songs": {"1f": 3.0}, "sounds": ["f0"]}
    known["license"] = "CC BY-NC"
    first = Run(Tiny(), SETTINGS, tmp_path / "first", CPU, known)
    first.train(examples(dataset), chosen)
    score = first.best
    slow = TrainingConfig(epochs=1, examples=4, batch_size=4, learning_rate=1e-9, workers=0)
    new = {"data_sha256": "b", "trained_on": [], "license": "MIT"}
    second = Run(Tiny(), slow, tmp_path / "second", CPU, new)
    second.begin_from(tmp_path / "first")
    assert torch.equal(second.network.level, first.best_network().level)
    second.train(examples(dataset), chosen)
    assert second.best == pytest.approx(score, abs=1e-3)
    resumed = Run(Tiny(), slow, tmp_path / "second", CPU, new)
    resumed.resume()
    assert resumed.config["trained_on"] == ["old"]
    assert resumed.config["songs"] == {"1f": 3.0}
    assert resumed.config["sounds"] == ["f0"]
    assert resumed.config["license"] == "CC BY-NC; MIT"
    assert resumed.config["init"]["steps"] == 2 * first.best_epoch


def test_weights_to_begin_with_are_of_the_method_and_fit(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    with pytest.raises(SepbenchError, match=r"no best\.pt in it; give the folder of a run"):
        run(tmp_path / "new").begin_from(tmp_path)
    run(tmp_path).train(examples(dataset), songs(dataset))
    with pytest.raises(SepbenchError, match="weights of tiny, not of other"):
        load_initial(PerBin(), tmp_path, method="other")
    with pytest.raises(SepbenchError, match="do not fit the network"):
        load_initial(nn.Linear(2, 2), tmp_path, method="tiny")


def test_resuming_needs_the_same_network(dataset: PreparedDataset, tmp_path: Path) -> None:
    with pytest.raises(SepbenchError, match="no such checkpoint"):
        run(tmp_path).resume()
    one = run(tmp_path, TrainingConfig(epochs=1, examples=4, batch_size=4, workers=0))
    one.train(examples(dataset), songs(dataset))
    other = Run(Tiny({"width": 3}), SETTINGS, tmp_path, CPU)
    with pytest.raises(SepbenchError, match="differs from the config"):
        other.resume()
    (tmp_path / "last.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(SepbenchError, match="or damaged; begin again in another --out"):
        run(tmp_path).resume()
    torch.save({"epoch": 1}, tmp_path / "last.pt")
    with pytest.raises(SepbenchError, match="not a checkpoint of sepbench"):
        run(tmp_path).resume()


def test_a_checkpoint_that_cannot_be_written_is_one_line_and_leaves_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "last.pt"
    checkpoint.save(file, {"epoch": 1})
    before = file.read_bytes()

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SepbenchError, match="No space left on device; choose"):
        checkpoint.save(file, {"epoch": 2})
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_global_random_state_is_left_alone(dataset: PreparedDataset, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(tmp_path).train(examples(dataset), songs(dataset))
    assert torch.equal(torch.rand(3), expected)


def test_batch_statistics_are_those_of_the_data_without_dropout(
    dataset: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Normed(PerBin):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(65)
            self.dropout = nn.Dropout(0.5)

        def forward(self, magnitudes: torch.Tensor) -> torch.Tensor:
            return super().forward(self.norm(self.dropout(magnitudes)))

    class Trainable(Tiny):
        def network(self) -> nn.Module:
            return Normed()

    chosen = songs(dataset)
    trained = Run(Trainable(), SETTINGS, tmp_path, CPU)
    trained.train(examples(dataset), chosen)
    before = trained.best
    monkeypatch.setattr(
        "sepbench.training.validate.passage_scores", lambda *_, **__: {"mean": before + 1}
    )
    assert update_statistics(trained, examples(dataset), chosen, most=3) == before + 1
    batches = torch.utils.data.default_collate([examples(dataset)[n] for n in range(12)])
    levels = trained.trainable.features(batches["vocals"] + batches["accompaniment"])
    found = trained.best_network().norm
    expected = torch.stack([part.mean((0, 2)) for part in levels.split(4)]).mean(0)
    torch.testing.assert_close(found.running_mean, expected)
    expected = torch.stack([part.var((0, 2)) for part in levels.split(4)]).mean(0)
    torch.testing.assert_close(found.running_var, expected)


def test_worse_batch_statistics_are_not_kept(
    dataset: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = songs(dataset)
    trained = run(tmp_path)
    trained.train(examples(dataset), chosen)
    before = (tmp_path / "best.pt").read_bytes()
    monkeypatch.setattr(
        "sepbench.training.validate.passage_scores", lambda *_, **__: {"mean": -100.0}
    )
    assert update_statistics(trained, examples(dataset), chosen) == trained.best
    assert (tmp_path / "best.pt").read_bytes() == before


def test_the_finder_raises_the_rate(dataset: PreparedDataset, tmp_path: Path) -> None:
    found = list(find_learning_rate(run(tmp_path), examples(dataset), steps=6))
    rates = [rate for rate, _ in found]
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(1e-5)


def test_schedules_stay_between_nothing_and_the_highest_rate() -> None:
    for name in SCHEDULES:
        factors = [schedule(name)(step, 1000) for step in range(1000)]
        assert all(0 < factor <= 1 for factor in factors), name
        assert max(factors) == pytest.approx(1.0, abs=0.02), name
    assert schedule("one-cycle")(999, 1000) < 0.01
    with pytest.raises(SepbenchError, match="choose one of"):
        schedule("cosine")


def test_examples_that_are_mixed_otherwise_need_a_run_of_their_own(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    def config(**fields: object) -> dict[str, object]:
        return {"training": {"training": {}, "examples": {"gain": (-10.0, 10.0), **fields}}}

    Run(Tiny(), SETTINGS, tmp_path, CPU, config(fade=0.1)).train(examples(dataset), songs(dataset))
    # A field of a newer version says nothing.
    Run(Tiny(), SETTINGS, tmp_path, CPU, config(fade=0.1, exclude=())).resume()
    with pytest.raises(SepbenchError, match=r"was begun with fade 0\.1, not 0\.3; give the same"):
        Run(Tiny(), SETTINGS, tmp_path, CPU, config(fade=0.3)).resume()


@pytest.mark.slow
def test_a_run_is_validated_and_drawn_now_and_then(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    settings = TrainingConfig(
        epochs=5, examples=4, batch_size=4, workers=0, validate_every=3, pictures=2, shown=1
    )
    seen: list[Epoch] = []
    followed = run(tmp_path, settings)
    followed.train(examples(dataset), songs(dataset), on_epoch=seen.append)
    assert [bool(epoch.scores) for epoch in seen] == [True, False, True, False, True]
    assert ["validation loss" in row for row in followed.history] == [
        bool(epoch.scores) for epoch in seen
    ]
    drawn = sorted(file.relative_to(tmp_path) for file in tmp_path.glob("pictures/*/*.png"))
    assert [file.parent.name for file in drawn] == ["epoch-0002", "epoch-0004", "epoch-0005"]
    draw_curves({"tiny": followed.history}, tmp_path / "curves.png", tests={"loss": 0.1})
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("changed", [{"batch_size": 3}, {"seed": 5}, {"examples": 64}])
def test_a_run_resumes_only_with_its_own_batches_and_seed(
    dataset: PreparedDataset, tmp_path: Path, changed: dict[str, int]
) -> None:
    settings = {"batch_size": 2, "seed": 0, "examples": 8}
    ours = Run(Tiny(), SETTINGS, tmp_path, CPU, {"training": {"training": settings}})
    ours.train(examples(dataset), songs(dataset))
    again = {"training": {"training": {**settings, **changed}}}
    with pytest.raises(SepbenchError, match=f"was begun with {next(iter(changed))}"):
        Run(Tiny(), SETTINGS, tmp_path, CPU, again).resume()


def test_long_names_of_folders_leave_room_for_the_curves(tmp_path: Path) -> None:
    names = [f"a folder of songs with a long name, part {n}, of many" for n in range(24)]
    row = {"loss": 0.5, "validation loss": 0.5, "seconds": 60.0, "mean": 1.0}
    history = [
        {**row, "epoch": epoch, **{name: float(n) for n, name in enumerate(names)}}
        for epoch in (1, 2)
    ]
    draw_curves({"tiny": history}, tmp_path / "curves.png")
    picture = imread(tmp_path / "curves.png")
    dark = picture[..., :3].max(-1) < 0.2
    # The frame of a panel is the longest dark line.
    widest = max(int(line.sum()) for line in dark)
    assert widest > 350
