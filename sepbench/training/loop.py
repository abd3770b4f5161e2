"""The training loop of all learned separators."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from sepbench._util.files import make_folder
from sepbench.errors import SepbenchError
from sepbench.training import averaging, checkpoint
from sepbench.training.diagnosis import gradient_origin, loss_origin, parts_without_gradient
from sepbench.training.epoch import Epoch
from sepbench.training.examples import Examples
from sepbench.training.initial import load_initial
from sepbench.training.loading import batches
from sepbench.training.log import Log
from sepbench.training.model import Batch, Trainable
from sepbench.training.part import freeze_others, train_mode
from sepbench.training.resuming import check_same
from sepbench.training.run_weights import BEST, LAST
from sepbench.training.schedules import schedule
from sepbench.training.start import initialise, seeded
from sepbench.training.training_config import TrainingConfig
from sepbench.training.validate import Songs, ValidationResult
from sepbench.weights import training_data


@dataclass
class Run:
    """A training run in a folder: ``best.pt``, ``last.pt`` and TensorBoard's logs."""

    trainable: Trainable
    settings: TrainingConfig
    folder: Path
    device: torch.device
    config: dict[str, Any] = field(default_factory=dict)
    """The provenance that checkpoints record."""

    def __post_init__(self) -> None:
        with seeded(self.settings.seed):
            self.network = self.trainable.network().to(self.device)
            initialise(self.network, self.settings.start)
        freeze_others(self.network, self.settings.only)
        for parameter in self.network.parameters():
            if parameter.ndim == 4:  # A third faster on CPUs, and on tensor cores.
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.averaged = AveragedModel(
            self.network, multi_avg_fn=averaging.moving(self.settings.average), use_buffers=True
        )
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.settings.learning_rate,
            betas=(0.9, self.settings.beta2),
            eps=self.settings.epsilon,
            weight_decay=self.settings.weight_decay,
        )
        self.epoch = 0
        self.best = float("-inf")
        self.best_epoch = 0
        self.history: list[dict[str, Any]] = []
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self.device.type == "cuda")

    def train(
        self,
        examples: Examples,
        songs: Songs,
        *,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
    ) -> None:
        """Train from the current epoch to the last.

        ``songs`` are for validation. A stopped run resumes after the last whole epoch. Raises
        `SepbenchError` as soon as the loss is not finite.
        """
        make_folder(self.folder)
        with Log(self.folder, self.trainable, first=self.epoch + 1) as log:
            while self.epoch < self.settings.epochs and not self._has_stopped_improving():
                began = time.monotonic()
                losses, waiting = self._train_epoch(examples, on_step)
                self.epoch += 1
                result, is_best, not_learning = None, False, {}
                if self.settings.is_validated(self.epoch):
                    result = self.validate(self._validated_network(), songs)
                    is_best = self._update_best(result)
                    if self.epoch == 1:
                        not_learning = self._parts_not_learning(result)
                seconds = time.monotonic() - began
                row = {"epoch": self.epoch, **losses, "seconds": seconds}
                row |= result.entries if result else {}
                self.history.append(row)
                # In this order: a stop between both costs the epoch, not the best weights.
                if is_best:
                    self._save(BEST)
                self._save(LAST)
                log.epoch(row, self.optimiser.param_groups[0]["lr"])
                if self.settings.is_shown(self.epoch):
                    loudest = songs.loudest(self.settings.shown)
                    log.pictures(self._validated_network(), loudest, self.device, self.epoch)
                scores = result.scores if result else {}
                validation_loss = result.losses["loss"] if result else math.nan
                on_epoch(
                    Epoch(
                        self.epoch, losses["loss"], scores, seconds, waiting, is_best,
                        validation_loss, not_learning,
                    )
                )  # fmt: skip

    def validate(self, network: nn.Module, songs: Songs) -> ValidationResult:
        """Return the scores and losses of a network of this run on songs."""
        return songs.validate(
            self.trainable, network, self.device, batch_size=self.settings.batch_size
        )

    def _update_best(self, result: ValidationResult) -> bool:
        """Remember the score of this epoch if it is the best so far; return whether it is."""
        score = result.criterion(self.settings.best)
        is_best = score > self.best
        if is_best:
            self.best, self.best_epoch = score, self.epoch
        return is_best

    def _parts_not_learning(self, result: ValidationResult) -> dict[str, str]:
        """Return the parts of the network that do not learn, with the reason."""
        return {
            **dict.fromkeys(parts_without_gradient(self.network), "its gradient is zero"),
            **dict.fromkeys(result.constant, "its output is the same for all songs"),
        }

    def begin_from(self, where: Path) -> None:
        """Start from the weights of a file, or the best of another run.

        Their training data and terms count as this run's too. Raises `SepbenchError` if they are of
        another method or do not fit the network.
        """
        initial = load_initial(self.network, where, method=self.trainable.method)
        self.averaged.module.load_state_dict(self.network.state_dict())
        self.config |= {
            "init": {name: initial[name] for name in ("sha256", "steps")},
            **training_data.merged(initial, self.config),
        }

    def resume(self) -> None:
        """Continue the run from ``last.pt``.

        Raises `SepbenchError` if its method, network, songs or examples differ.
        """
        path = self.folder / LAST
        state = checkpoint.load(path, self.device, whole=True)
        method, other = self.trainable.method, state["method"]
        if other != method:
            raise SepbenchError(f"{path}: a run of {other}, not {method}; use a new --out")
        if state["model"] != self.trainable.model:
            raise SepbenchError(f"{path}: its network differs from the config; use a new --out")
        check_same(path, state["config"], self.config)
        if "init" in state["config"]:
            kept = ("init", *training_data.FIELDS)
            self.config |= {name: of for name, of in state["config"].items() if name in kept}
        with checkpoint.fitting(path):
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimiser.load_state_dict(state["optimiser"])
            if state["half"]:  # Empty if the run began on the CPU.
                self._scaler.load_state_dict(state["half"])
        self.epoch, self.best = state["epoch"], state["best"]
        self.best_epoch, self.history = state["best_epoch"], state["history"]

    def _train_epoch(
        self, examples: Examples, on_step: Callable[[int, float], None]
    ) -> tuple[dict[str, float], float]:
        """Return the mean ``loss``, ``loss NAME`` of several networks, and the waiting time."""
        settings, first = self.settings, self.epoch * self.settings.steps_per_epoch
        factor = schedule(settings.schedule)
        steps = settings.epochs * settings.steps_per_epoch
        loader = batches(
            examples,
            first * settings.batch_size,
            settings.steps_per_epoch * settings.batch_size,
            size=settings.batch_size,
            workers=settings.workers,
            pinned=self.device.type == "cuda",
        )
        train_mode(self.network)
        waited, found = 0.0, dict[str, list[float]]()
        began = asked = time.monotonic()
        # Dropout is seeded per epoch, so that a resumed run draws the same.
        with seeded(hash((settings.seed, self.epoch)) & 0xFFFFFFFF):
            for step, stems in enumerate(loader, first):
                waited += time.monotonic() - asked
                rate = settings.learning_rate * factor(step, steps)
                losses = self.step(stems, rate)
                loss = losses["loss"]
                if not math.isfinite(loss):
                    origin = loss_origin(self.trainable, self.network, self._on_device(stems))
                    raise SepbenchError(
                        f"{self.folder}: the loss is NaN or infinite from step {step + 1} on: "
                        f"{origin}"
                    )
                for name, value in losses.items():
                    found.setdefault(name, []).append(value)
                on_step(step, loss)
                asked = time.monotonic()
        means = {name: math.fsum(values) / len(values) for name, values in found.items()}
        return means, waited / (time.monotonic() - began)

    def best_network(self) -> nn.Module:
        """Return a network with the best weights so far, which are in ``best.pt``."""
        network = self.trainable.network().to(self.device)
        freeze_others(network, self.settings.only)
        state = checkpoint.load(self.folder / BEST, self.device)
        with checkpoint.fitting(self.folder / BEST):
            network.load_state_dict(state["weights"])
        return network.eval()

    def step(self, stems: Batch, rate: float) -> dict[str, float]:
        """Take one step at a learning rate; return the losses before it.

        They are ``loss``, and ``loss NAME`` for each of several networks.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        stems = self._on_device(stems)
        inputs = self.inputs(stems)
        with torch.no_grad():
            targets = self.trainable.targets(stems)
        with torch.autocast(self.device.type, torch.float16, enabled=self._scaler.is_enabled()):
            output = self.network(inputs)
        loss = self.trainable.loss(output.float(), targets)
        if not loss.isfinite():  # The weights stay as they are, so that the cause can be found.
            return {"loss": float(loss.detach())}
        self.optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self.optimiser)
        parameters = self.network.parameters()
        norm = nn.utils.clip_grad_norm_(parameters, self.settings.clip or math.inf)
        # In half precision, an infinite gradient is what the scaler waits for.
        if not (self._scaler.is_enabled() or norm.isfinite()):
            raise SepbenchError(f"{self.folder}: {gradient_origin(self.network)}")
        self._scaler.step(self.optimiser)
        self._scaler.update()
        self.averaged.update_parameters(self.network)
        with torch.no_grad():
            several = self.trainable.losses(output.detach().float(), targets)
        named = {f"loss {name}": float(value) for name, value in several.items()}
        return {"loss": float(loss.detach()), **named}

    def _on_device(self, stems: Batch) -> Batch:
        return {name: stem.to(self.device) for name, stem in stems.items()}

    @torch.no_grad()
    def inputs(self, stems: Batch) -> torch.Tensor:
        """Return the network's input for a batch of stems."""
        mixture = self.trainable.mixture(stems)
        return self.trainable.features(mixture.to(self.device))

    def _validated_network(self) -> nn.Module:
        """Return the network to validate and save: the averaged one, if there is one."""
        return self.averaged.module if self.settings.average else self.network

    def _has_stopped_improving(self) -> bool:
        if not (self.settings.patience and self.settings.is_validated(self.epoch)):
            return False
        return self.epoch - self.best_epoch >= self.settings.patience

    def _save(self, name: str) -> None:
        state = {
            "method": self.trainable.method,
            "model": self.trainable.model,
            "config": self.config,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "half": self._scaler.state_dict(),
            "epoch": self.epoch,
            "steps": self.epoch * self.settings.steps_per_epoch,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "history": self.history,
            "weights": self._validated_network().state_dict(),
        }
        checkpoint.save(self.folder / name, state)
