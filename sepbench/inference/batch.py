"""Separates many songs by one call, for separators that start slowly.

Each song goes through `runner.stream` twice: once to record the separator's input, at its rate and
with its channels, and once to replay the separator's output.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sepbench.errors import SepbenchError, on_one_line
from sepbench.inference import runner
from sepbench.inference.overlap_add import Samples
from sepbench.inference.runner import Separation
from sepbench.separator import without_remainder

if TYPE_CHECKING:
    import torch

    from sepbench.separator import Separator

Process = Callable[..., "Mapping[str, torch.Tensor]"]


@dataclass(frozen=True)
class Made:
    """The result of one song of a batch: the files and costs of its stems, or an error.

    ``seconds`` is the song's share of the time that all took, by its length; ``peak_bytes`` is what
    all took together.
    """

    files: dict[str, Path]
    seconds: float = 0.0
    peak_bytes: int = 0
    notes: tuple[str, ...] = ()
    error: SepbenchError | None = None

    def load(self) -> Separation:
        """Return the stems; raise `SepbenchError` if there are none."""
        if self.error is not None:
            raise self.error
        stems = {name: np.load(path) for name, path in self.files.items()}
        return Separation(stems, self.seconds, self.peak_bytes, self.notes)


def separate_all(
    separator: Separator,
    songs: Iterator[tuple[Samples, int]],
    folder: Path,
    device: torch.device,
) -> Iterator[Made]:
    """Separate songs (mixture and rate) by one call; yield the result of each, in order.

    Stems are written to ``folder``, so that only one song is in memory.
    """
    fed: list[tuple[int, int, int]] = []

    def mixtures() -> Iterator[torch.Tensor]:
        for index, (mixture, rate) in enumerate(songs):
            np.save(folder / f"{index}.npy", mixture)
            inputs: list[torch.Tensor] = []
            _stream(_with_process(separator, _recording(separator, inputs)), mixture, rate, device)
            fed.append((len(inputs), mixture.shape[1], rate))
            yield from inputs

    started = time.perf_counter()
    answers = separator.separate_batch(mixtures())
    try:
        first = next(answers, None)
    except SepbenchError as error:
        yield from [Made({}, error=on_one_line(error))] * len(fed)
        return
    # The common time is shared by length.
    common = time.perf_counter() - started
    peak_bytes = runner.used_outside(separator) if device.type == "cpu" else 0
    whole = sum(samples / rate for _, samples, rate in fed) or 1.0
    shares = [common * samples / rate / whole for _, samples, rate in fed]
    index = 0
    while first is not None:
        count, _, rate = fed[index]
        started = time.perf_counter()
        own = [first, *itertools.islice(answers, count - 1)]
        seconds = time.perf_counter() - started + (shares[index] if index < len(shares) else 0.0)
        made = _made(separator, own, folder, index, rate, device)
        yield replace(made, seconds=made.seconds + seconds, peak_bytes=made.peak_bytes + peak_bytes)
        first, index = next(answers, None), index + 1


def _made(
    separator: Separator,
    answers: Sequence[Mapping[str, torch.Tensor] | SepbenchError],
    folder: Path,
    index: int,
    rate: int,
    device: torch.device,
) -> Made:
    """Write the stems of one song to the folder; return its result."""
    notes = separator.take_notes()
    replayed = iter(answers)

    def process(
        mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        answer = next(replayed)
        if isinstance(answer, SepbenchError):
            raise answer
        return answer

    try:
        mixture = np.load(folder / f"{index}.npy")
        twin = _with_process(separator, process)
        made = runner.separate(twin, mixture, rate=rate, device=device)
    except SepbenchError as error:
        return Made({}, error=on_one_line(error))
    files = {name: folder / f"{index}-{name}.npy" for name in made.stems}
    for name, stem in made.stems.items():
        np.save(files[name], stem)
    return Made(files, made.seconds, made.peak_bytes, (*notes, *made.notes))


def _with_process(separator: Separator, process: Process) -> Separator:
    """Return a copy of a separator with another function in place of its own."""
    twin = copy.copy(separator)
    twin.__dict__["process"] = process
    return twin


def _recording(separator: Separator, inputs: list[torch.Tensor]) -> Process:
    """Return a function that records a separator's input, and returns silence."""

    def process(
        mixture: torch.Tensor, given: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        inputs.append(mixture)
        return dict.fromkeys(without_remainder(separator), mixture * 0)

    return process


def _stream(separator: Separator, mixture: Samples, rate: int, device: torch.device) -> None:
    for _ in runner.stream(separator, [mixture], rate=rate, device=device):
        pass
