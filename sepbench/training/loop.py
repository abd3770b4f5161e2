"""The training loop that all learned separators share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn
from torch.utils.data import DataLoader, Subset
from torch.utils.tensorboard import SummaryWriter

from sepbench._util.files import make_folder
from sepbench.errors import SepbenchError
from sepbench.options import option
from sepbench.training import checkpoint
from sepbench.training.examples import Examples
from sepbench.training.initial import load_initial
from sepbench.training.model import Batch, Trainable
from sepbench.training.schedules import SCHEDULES, schedule
from sepbench.training.start import STARTS, parts_without_gradient, set_start
from sepbench.training.validate import Passage, passage_losses, validate


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train: the section ``training`` of a training config."""

    epochs: int = option(40, "epochs in all", minimum=1)
    examples: int = option(
        1600, "examples in an epoch, after which the run is validated and saved", minimum=1
    )
    batch_size: int = option(8, "examples in a step", minimum=1)
    learning_rate: float = option(1e-3, "the highest", minimum=1e-12)
    schedule: str = option("one-cycle", "learning rate by step", choices=tuple(SCHEDULES))
    weight_decay: float = option(0.01, "of AdamW", minimum=0)
    beta2: float = option(0.99, "decay of Adam's mean of squared gradients", minimum=0, maximum=1)
    epsilon: float = option(1e-8, "what Adam adds to the root of that mean", minimum=0)
    clip: float = option(5.0, "largest norm of the gradient; 0: any", minimum=0)
    start: str = option("torch", "where random weights come from", choices=STARTS)
    best: str = option(
        "sdr",
        "the best epoch: that of the highest sdr, or of the lowest validation loss",
        choices=("sdr", "loss"),
    )
    average: float = option(
        0.999,
        "decay of the moving average of the weights that is validated and kept; 0: no average",
        minimum=0,
        maximum=1,
    )
    patience: int = option(
        0, "epochs without a better score after which to stop; 0: never", minimum=0
    )
    seed: int = option(0, "of examples, initial weights and dropout")
    workers: int = option(1, "processes that mix examples", minimum=0)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch."""
        return self.examples // self.batch_size


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to."""

    number: int
    loss: float
    scores: dict[str, float]
    seconds: float
    """Wall-clock time, validation included."""
    waiting: float
    """Share of the training time that was spent waiting for examples."""
    is_best: bool
    validation_loss: float = math.nan
    dead: tuple[str, ...] = ()
    """Parts of the network whose gradient is zero after the first epoch: they learn nothing."""


@dataclass
class Run:
    """A training run in a folder: ``best.pt``, ``last.pt`` and TensorBoard's logs."""

    trainable: Trainable
    plan: TrainingConfig
    folder: Path
    device: torch.device
    config: dict[str, Any] = field(default_factory=dict)
    """What the checkpoints say about how they were made."""

    def __post_init__(self) -> None:
        with _seeded(self.plan.seed):
            self.network = self.trainable.network().to(self.device)
            set_start(self.network, self.plan.start)
        for parameter in self.network.parameters():
            if parameter.ndim == 4:  # a third faster on processors, and on tensor cores
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self.averaged = AveragedModel(
            self.network, multi_avg_fn=_moving(self.plan.average), use_buffers=True
        )
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.plan.learning_rate,
            betas=(0.9, self.plan.beta2),
            eps=self.plan.epsilon,
            weight_decay=self.plan.weight_decay,
        )
        self.epoch = 0
        self.best = float("-inf")
        self.best_epoch = 0
        self.history: list[dict[str, Any]] = []
        self._half = torch.amp.GradScaler(self.device.type, enabled=self.device.type == "cuda")

    def train(
        self,
        examples: Examples,
        chosen: list[Passage],
        *,
        on_epoch: Callable[[Epoch], None] = lambda epoch: None,
        on_step: Callable[[int, float], None] = lambda step, loss: None,
    ) -> None:
        """Train from where the run stands to the last epoch of the plan.

        Stopped at any moment, the run goes on from the last whole epoch. Raises `SepbenchError` as
        soon as the loss is not finite.
        """
        make_folder(self.folder)
        with SummaryWriter(str(self.folder / "logs"), purge_step=self.epoch) as log:
            while self.epoch < self.plan.epochs and not self._is_stale():
                began = time.monotonic()
                loss, waiting = self._train_epoch(examples, on_step)
                dead = tuple(parts_without_gradient(self.network)) if self.epoch == 0 else ()
                scores, losses = self._validate(self._judged(), examples, chosen)
                self.epoch += 1
                mark = self._mark(scores, losses)
                is_best = mark > self.best
                if is_best:
                    self.best, self.best_epoch = mark, self.epoch
                seconds = time.monotonic() - began
                self.history.append(
                    {"epoch": self.epoch, "loss": loss, "seconds": seconds, **losses, **scores}
                )
                self._save("last.pt")
                if is_best:
                    self._save("best.pt")
                for name, value in scores.items():
                    log.add_scalar(f"sdr/{name}", value, self.epoch)
                log.add_scalar("loss", loss, self.epoch)
                for name, value in losses.items():
                    log.add_scalar(name, value, self.epoch)
                log.add_scalar("learning rate", self._rate(), self.epoch)
                log.flush()
                validation_loss = losses["validation loss"]
                on_epoch(
                    Epoch(
                        self.epoch, loss, scores, seconds, waiting, is_best, validation_loss, dead
                    )
                )

    def _validate(
        self, network: nn.Module, examples: Examples, chosen: list[Passage]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return the scores and the losses of a network on passages of validation songs."""
        scores = validate(self.trainable, network, chosen, device=self.device)
        losses = passage_losses(
            self.trainable, network, chosen, samples=examples.samples, device=self.device
        )
        return scores, {f"validation {name}": value for name, value in losses.items()}

    def _mark(self, scores: dict[str, float], losses: dict[str, float]) -> float:
        """Return what the best epoch has most of."""
        return scores["mean"] if self.plan.best == "sdr" else -losses["validation loss"]

    def begin_from(self, where: Path) -> None:
        """Begin with the weights of a file, or with the best of another run's folder.

        What they were trained on counts as what this run was trained on. Raises `SepbenchError`
        where they are of another method or do not fit the network.
        """
        initial = load_initial(self.network, where, method=self.trainable.method)
        self.averaged.module.load_state_dict(self.network.state_dict())
        own = self.config.get("trained_on", [])
        self.config |= {
            "init": {name: initial[name] for name in ("sha256", "steps")},
            "trained_on": sorted({*own, *initial["trained_on"]}),
        }

    def resume(self) -> None:
        """Take up the run where ``last.pt`` left it.

        Raises `SepbenchError` where its network or its songs are others.
        """
        path = self.folder / "last.pt"
        state = checkpoint.load(path, self.device)
        if state["model"] != self.trainable.model:
            raise SepbenchError(
                f"{path}: its network is another than the config's; use a new --out"
            )
        before, now = (config.get("data_sha256") for config in (state["config"], self.config))
        if before != now:
            raise SepbenchError(f"{path}: its songs are others; give the same data or a new --out")
        self._check_plan(path, state["config"])
        if "init" in state["config"]:
            self.config |= {name: state["config"][name] for name in ("init", "trained_on")}
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._half.load_state_dict(state["half"])
        self.epoch, self.best = state["epoch"], state["best"]
        self.best_epoch, self.history = state["best_epoch"], state["history"]

    def _check_plan(self, path: Path, before: dict[str, Any]) -> None:
        """Raise where steps would not add up with those before: other epochs, batches or seed."""
        was, now = (
            config.get("training", {}).get("training", {}) for config in (before, self.config)
        )
        for key in _FIXED:
            if key in was and key in now and was[key] != now[key]:
                raise SepbenchError(
                    f"{path}: was begun with {key} {was[key]}, not {now[key]}; "
                    "give the same, or a new --out"
                )

    def _train_epoch(
        self, examples: Examples, on_step: Callable[[int, float], None]
    ) -> tuple[float, float]:
        plan, first = self.plan, self.epoch * self.plan.steps_per_epoch
        factor = schedule(plan.schedule)
        steps = plan.epochs * plan.steps_per_epoch
        begin = first * plan.batch_size
        part = Subset(examples, range(begin, begin + plan.steps_per_epoch * plan.batch_size))
        loader = DataLoader(
            part,
            batch_size=plan.batch_size,
            num_workers=plan.workers,
            pin_memory=self.device.type == "cuda",
        )
        self.network.train()
        total = waited = 0.0
        began = asked = time.monotonic()
        # Dropout draws from a seed of this epoch, so that a resumed run draws the same.
        with _seeded(hash((plan.seed, self.epoch)) & 0xFFFFFFFF):
            for step, stems in enumerate(loader, first):
                waited += time.monotonic() - asked
                rate = plan.learning_rate * factor(step, steps)
                loss = self.step(stems, rate)
                if not math.isfinite(loss):
                    raise SepbenchError(
                        f"{self.folder}: the loss is NaN or infinite from step {step + 1} on: "
                        f"{self._origin(stems)}"
                    )
                total += loss
                on_step(step, loss)
                asked = time.monotonic()
        return total / plan.steps_per_epoch, waited / (time.monotonic() - began)

    def update_bn(self, examples: Examples, chosen: list[Passage], *, batches: int = 60) -> float:
        """Estimate the batch normalisation of the best weights anew; keep it if it scores higher.

        After training the running statistics are averages over few small batches and over weights
        that moved on since; these are the plain means over ``batches`` batches. Returns the best
        score, whose weights are in ``best.pt``.
        """
        path = self.folder / "best.pt"
        state = checkpoint.load(path, self.device)
        network = self.best_network()
        count = min(batches * self.plan.batch_size, len(examples))
        loader = DataLoader(Subset(examples, range(count)), batch_size=self.plan.batch_size)
        _disable_dropout(network)  # `update_bn` needs training mode
        update_bn((self._inputs(stems) for stems in loader), network)
        scores, losses = self._validate(network, examples, chosen)
        mark = self._mark(scores, losses)
        if mark > state["best"]:
            state["weights"], state["best"] = network.state_dict(), mark
            state["history"][-1].update({**losses, **scores})
            checkpoint.save(path, state)
        return float(state["best"])

    def best_network(self) -> nn.Module:
        """Return a network with the best weights so far, which are in ``best.pt``."""
        network = self.trainable.network().to(self.device)
        state = checkpoint.load(self.folder / "best.pt", self.device)
        network.load_state_dict(state["weights"])
        return network.eval()

    def _origin(self, stems: Batch) -> str:
        """Return where a loss that is not finite comes from, and the cure."""
        lower = "take a lower --learning-rate"
        for name, weights in self.network.named_parameters():
            if not torch.isfinite(weights).all():
                return f"the weights {name} are not finite since the step before; {lower}"
        stems = {name: stem.to(self.device) for name, stem in stems.items()}
        with torch.no_grad():
            inputs, targets = self._inputs(stems), self.trainable.targets(stems)
            output = self.network(inputs)
            parts = {"features": inputs, "targets": targets, "output of the network": output}
            for name, value in parts.items():
                if isinstance(value, torch.Tensor) and not torch.isfinite(value).all():
                    return f"the {name} hold NaN or infinity; {lower}"
            loss = self.trainable.loss(output.float(), targets)
        if not torch.isfinite(loss).all():
            return "the loss function makes it of finite output and targets; correct the function"
        return lower

    def step(self, stems: Batch, rate: float) -> float:
        """Take one step at a learning rate, and return the loss before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        stems = {name: stem.to(self.device) for name, stem in stems.items()}
        inputs = self._inputs(stems)
        with torch.no_grad():
            targets = self.trainable.targets(stems)
        with torch.autocast(self.device.type, torch.float16, enabled=self._half.is_enabled()):
            output = self.network(inputs)
        loss = self.trainable.loss(output.float(), targets)
        self.optimiser.zero_grad(set_to_none=True)
        self._half.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._half.unscale_(self.optimiser)
        if self.plan.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip)
        self._half.step(self.optimiser)
        self._half.update()
        self.averaged.update_parameters(self.network)
        return float(loss.detach())

    @torch.no_grad()
    def _inputs(self, stems: Batch) -> torch.Tensor:
        """Return the network's input for a batch of stems."""
        mixture = self.trainable.mixture(stems)
        return self.trainable.features(mixture.to(self.device))

    def _judged(self) -> nn.Module:
        """Return the network that is validated and kept: the averaged one, if there is one."""
        return self.averaged.module if self.plan.average else self.network

    def _is_stale(self) -> bool:
        return bool(self.plan.patience) and self.epoch - self.best_epoch >= self.plan.patience

    def _rate(self) -> float:
        return float(self.optimiser.param_groups[0]["lr"])

    def _save(self, name: str) -> None:
        state = {
            "method": self.trainable.method,
            "model": self.trainable.model,
            "config": self.config,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "half": self._half.state_dict(),
            "epoch": self.epoch,
            "steps": self.epoch * self.plan.steps_per_epoch,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "history": self.history,
            "weights": self._judged().state_dict(),
        }
        checkpoint.save(self.folder / name, state)


def _disable_dropout(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d):
            module.p = 0.0
        elif isinstance(module, nn.RNNBase):
            module.dropout = 0.0


_FIXED = ("examples", "batch_size", "seed")
_Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]


def _moving(decay: float) -> Callable[[_Tensors, _Tensors, torch.Tensor | int], None]:
    """Average with a decay that grows from 0.1, so that the first weights are soon forgotten."""

    @torch.no_grad()
    def update(averages: _Tensors, news: _Tensors, count: torch.Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for average, new in zip(averages, news, strict=True):
            if average.is_floating_point():
                average.lerp_(new, share)
            else:
                average.copy_(new)

    return update


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from torch's generators by a seed of our own, and leave them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
