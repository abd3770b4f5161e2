"""Trains a learned separator, from data to a weight file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from sepbench._util.files import make_folder, write_atomic
from sepbench._util.locking import alone
from sepbench.datasets.base import SUBSETS
from sepbench.errors import SepbenchError
from sepbench.inference.runner import choose_device
from sepbench.training import checkpoint
from sepbench.training.batch_statistics import update_statistics
from sepbench.training.build import trainable_of, trained_separator
from sepbench.training.config import read_config
from sepbench.training.curves import draw_curves
from sepbench.training.data.choice import Choice, without
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.data.sources import check_data, prepared_dataset
from sepbench.training.epoch import Epoch
from sepbench.training.examples import Examples
from sepbench.training.export import describe, export
from sepbench.training.log import Log
from sepbench.training.loop import Run
from sepbench.training.lr_finder import STEPS, find_learning_rate
from sepbench.training.mix_config import MixConfig
from sepbench.training.run_weights import BEST, LAST, WEIGHTS
from sepbench.training.stem_examples import examples_of
from sepbench.training.summary import layer_summary
from sepbench.training.validate import Songs, songs_of

_SONGS = 12
"""Most songs of a source scored in the training split; other splits are scored completely."""


@dataclass(frozen=True)
class TrainingResult:
    """The results of a finished training."""

    weights: Path
    """The weight file, as safetensors."""
    curves: Path
    """The learning curves, as a picture."""
    scores: dict[str, dict[str, float]]
    """Loss, and mean SDR in dB, of the best weights by subset and source; in ``scores.json``."""
    best_epoch: int
    best: float
    """The best mean SDR in dB on songs for validation, or the loss there with its sign changed."""


@dataclass
class Training:
    """A run with the data that it needs."""

    run: Run
    examples: Examples
    dataset: PreparedDataset
    mixing: MixConfig
    skipped: Sequence[str] = ()
    """A line for each recording that cannot be used, with the reason."""

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.run.settings.epochs * self.run.settings.steps_per_epoch

    @property
    def steps_done(self) -> int:
        """Optimiser steps done before resuming."""
        return self.run.epoch * self.run.settings.steps_per_epoch

    def summary(self) -> str:
        """Return one line on the size of the network and the data."""
        parameters = sum(parameter.numel() for parameter in self.run.network.parameters())
        tracks = ", ".join(f"{len(self.dataset.split(s).tracks)} {s}" for s in SUBSETS)
        method = self.run.trainable.method
        return (
            f"{method}: {parameters:,} parameters, {self.dataset.hours:.1f} hours of data "
            f"({tracks})"
        )

    def find_learning_rate(self) -> Iterator[tuple[float, float]]:
        """Yield learning rates and the loss at each; the run cannot be trained afterwards."""
        return find_learning_rate(self.run, self.examples)

    def fit(
        self,
        *,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
    ) -> TrainingResult:
        """Train to the last epoch, score the best weights and write all results."""
        run, folder = self.run, self.run.folder
        songs = self._songs("valid")
        if run.settings.best == "loss" and songs.examples is None:
            raise SepbenchError(
                "best: loss: the songs for validation lack something that examples are made of; "
                "prepare more songs, or write 'best: sdr' into the config's section 'training'"
            )
        if run.settings.best == "sdr" and not songs.has_scores():
            raise SepbenchError(
                "no stem can be heard in the songs for validation, so no epoch can be the best; "
                "give songs with a voice the split valid, or write 'best: loss' into the config's "
                "section 'training'"
            )
        make_folder(folder)
        with alone(folder / ".lock") as is_alone:
            if not is_alone:
                raise SepbenchError(
                    f"{folder}: another training writes there; wait for it, or give another --out"
                )
            # Another training may have ended there while the data of this one were prepared.
            _check_folder(folder, resume=run.epoch > 0, init=None, find_rate=False)
            return self._fit(songs, on_epoch, on_step)

    def _fit(
        self,
        songs: Songs,
        on_epoch: Callable[[Epoch], None],
        on_step: Callable[[int, float], None],
    ) -> TrainingResult:
        run, folder = self.run, self.run.folder
        write_atomic(folder / "summary.txt", self._layers())
        run.train(self.examples, songs, on_epoch=on_epoch, on_step=on_step)
        best = update_statistics(run, self.examples, songs)
        weights, curves = folder / WEIGHTS, folder / "curves.png"
        export(checkpoint.load(folder / BEST, run.device), run.trainable, weights)
        scores, tests = self._scores()
        with Log(folder, run.trainable, first=run.epoch + 1) as log:
            log.test(tests, run.best_epoch)
        draw_curves(
            {run.trainable.method: run.history},
            curves,
            tests=tests,
            best_epoch=run.best_epoch,
            loss=run.trainable.loss_label,
            unit=run.trainable.score_unit,
        )
        write_atomic(folder / "scores.json", json.dumps(scores, indent=1))
        return TrainingResult(weights, curves, scores, run.best_epoch, best)

    def _layers(self) -> str:
        run = self.run
        return layer_summary(run.trainable, run.network, self.mixing.seconds, run.device)

    def _songs(self, subset: str) -> Songs:
        """Return the songs of a subset for validation or test."""
        run, few = self.run, _SONGS if subset == "train" else None
        return songs_of(
            self.dataset,
            subset,
            self.mixing,
            trainable=run.trainable,
            settings=run.settings,
            songs=few,
        )

    def _scores(self) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """Return the losses and scores of the best weights by subset, and the losses of tests."""
        run = self.run
        network, scores, tests = run.best_network(), {}, dict[str, float]()
        for subset in SUBSETS:
            with suppress(SepbenchError):  # a subset may have no such songs
                songs = self._songs(subset)
                result = songs.validate(
                    run.trainable, network, run.device, batch_size=run.settings.batch_size
                )
                scores[subset] = {**result.losses, **result.scores}
                tests = result.losses if subset == "test" else tests
        return scores, tests


def train(
    method: str,
    data: Sequence[str | Path],
    *,
    config: str | Path = "default",
    out: Path | None = None,
    resume: bool = False,
    init: Path | None = None,
    teacher: str | None = None,
    device: str = "auto",
    choice: Choice | None = None,
    changes: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> TrainingResult:
    """Train a method and write its weights; `open_training` says what the arguments mean.

    ::

        result = train("unet", ["prepared/"], out=Path("runs/unet"), changes={"epochs": 2})
        separate("song.wav", method=f"unet[weights={result.weights}]")
    """
    training = open_training(
        method, data, config=config, out=out, resume=resume, init=init, teacher=teacher,
        device=device, choice=choice, changes=changes,
    )  # fmt: skip
    return training.fit(on_epoch=on_epoch, on_step=on_step)


def open_training(
    method: str,
    data: Sequence[str | Path],
    *,
    config: str | Path = "default",
    out: Path | None = None,
    resume: bool = False,
    init: Path | None = None,
    teacher: str | None = None,
    find_rate: bool = False,
    device: str = "auto",
    threads: int | None = None,
    choice: Choice | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Training:
    """Prepare the data, unless it is prepared, and set up a run.

    Args:
        method: name of a method that can be trained, without options.
        data: one prepared folder, or folders and data sets to prepare.
        config: name of one of the method's configs, or a YAML file.
        out: folder of the run; ``runs/METHOD`` if not given.
        resume: continue the run in ``out`` after its last whole epoch.
        init: weights, or a run whose best weights to begin with, in place of random ones.
        teacher: ``METHOD[:SONGS]``, which labels songs without stems; by default the config's.
        find_rate: allow a folder that holds a run, as nothing is written to it.
        device: as ``--device`` of the command line.
        threads: of the processor; all if not given.
        choice: which songs of the data are used, and which part of each; all if None.
        changes: fields that replace those of the config's section ``training``.

    Raises `SepbenchError` for an unknown method, a wrong config, unusable data, and a folder whose
    run would be overwritten.
    """
    chosen_device = choose_device(device)
    if threads:
        torch.set_num_threads(threads)
    separator = trained_separator(method)
    folder = out or Path("runs") / method
    sections = read_config(method, str(config), changes, folder=getattr(separator, "folder", None))
    trainable = trainable_of(
        separator, sections.model, str(config), channels=sections.examples.channels
    )
    check_data(map(str, data))
    _check_folder(folder, resume=resume, init=init, find_rate=find_rate)
    if teacher:
        sections = replace(sections, teacher=sections.teacher.replaced(teacher))
    dataset, skipped = prepared_dataset(
        [str(where) for where in data],
        folder / "data",
        trainable.rate,
        choice=choice or Choice(),
        teacher=sections.teacher,
        device=device,
        must_label=bool(teacher),
        same=(folder / LAST).exists(),
    )
    dataset = _without_excluded(dataset, sections.examples)
    settings = sections.training
    examples = examples_of(
        trainable.stems,
        dataset.split("train"),
        sections.examples,
        seed=settings.seed,
        count=max(
            settings.epochs * settings.examples, STEPS * settings.batch_size if find_rate else 0
        ),
    )
    run = Run(trainable, settings, folder, chosen_device, describe(sections, dataset))
    if init:
        run.begin_from(init)
    if resume:
        run.resume()
    return Training(run, examples, dataset, sections.examples, skipped)


def _without_excluded(dataset: PreparedDataset, mixing: MixConfig) -> PreparedDataset:
    """Return the data without the songs that the config excludes."""
    kept = without(dataset.tracks, mixing.exclude)
    return dataset if len(kept) == len(dataset.tracks) else dataset.of(kept)


def _check_folder(folder: Path, *, resume: bool, init: Path | None, find_rate: bool) -> None:
    is_run = (folder / LAST).exists()
    if resume and init:
        raise SepbenchError("--resume goes on with a run's own weights; leave out --init")
    if resume and not is_run:
        raise SepbenchError(f"{folder}: no run to go on with; leave out --resume to begin one")
    if is_run and not (resume or find_rate):
        raise SepbenchError(
            f"{folder}: holds a run already; go on with it by --resume, or give another --out"
        )
