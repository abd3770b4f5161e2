"""Logs of a run: TensorBoard, and pictures of passages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from sepbench.errors import SepbenchError
from sepbench.training.curves import is_score, write_figure
from sepbench.training.model import Trainable
from sepbench.training.passages import Passage
from sepbench.training.pictures import draw_passage


class Log:
    """The logs of a run in ``folder/logs`` and its pictures in ``folder/pictures``.

    Its methods raise `SepbenchError` if a file cannot be written.

    Args:
        folder: of the run.
        trainable: what is trained.
        first: the next epoch; entries of it and later ones from a stopped run are dropped.
    """

    def __init__(self, folder: Path, trainable: Trainable, *, first: int) -> None:
        self.folder, self.trainable = folder, trainable
        # It logs instructions at level WARNING.
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        with self._writing():
            self._writer = SummaryWriter(str(folder / "logs"), purge_step=first)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._writing() if error is None else suppress(OSError):
            self._writer.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SepbenchError(
                f"{self.folder / 'logs'}: cannot write: {error.strerror or error}; "
                "make room there and go on with --resume"
            ) from error

    def epoch(self, row: Mapping[str, Any], learning_rate: float) -> None:
        """Log an entry of a run's history."""
        with self._writing():
            for name, value in row.items():
                if name not in ("epoch", "seconds"):
                    tag = f"sdr/{name}" if is_score(name) else name
                    self._writer.add_scalar(tag, value, row["epoch"])
            self._writer.add_scalar("learning rate", learning_rate, row["epoch"])
            self._writer.flush()

    def test(self, losses: Mapping[str, float], epoch: int) -> None:
        """Log the losses of the best weights on test songs, at their epoch."""
        with self._writing():
            for name, value in losses.items():
                self._writer.add_scalar(f"test {name}", value, epoch)

    def pictures(
        self, network: nn.Module, shown: Sequence[Passage], device: torch.device, epoch: int
    ) -> None:
        """Draw passages as the network separates them after an epoch."""
        for number, passage in enumerate(shown, 1):
            figure = draw_passage(self.trainable, network, passage, device)
            if figure is None:
                return  # It has no stems.
            name = f"{number:02}-{passage.source.replace('/', '-')}"
            figure.suptitle(f"{passage.source}, epoch {epoch}")
            file = self.folder / "pictures" / f"epoch-{epoch:04}" / f"{name}.png"
            write_figure(figure, file)
            with self._writing():
                self._writer.add_figure(f"passages/{name}", figure, epoch)
        with self._writing():
            self._writer.flush()
