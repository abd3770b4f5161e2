"""A separator under test: loads it and collects its stems."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.inference import runner
from sepbench.inference.overlap_add import wrong_kind
from sepbench.registry import Method
from sepbench.separator import AnySeparator
from sepbench.stems import with_sums
from sepbench.testing.check import CheckFailed
from sepbench.testing.printed import caught
from sepbench.testing.process_state import SettingsSnapshot, guarded_generators
from sepbench.testing.signals import Sound, song
from sepbench.training.config import read_config
from sepbench.training.model_class import model_class
from sepbench.weights import container

ANY_RATE = 44_100
"""Rate in Hz for separators that take any rate."""


@dataclass(frozen=True)
class Repeated:
    """The stems of a song, whether the mixture was unchanged, and the printed lines."""

    stems: dict[str, torch.Tensor]
    is_mixture_kept: bool
    printed: list[str]


class Subject:
    """A method, the device of the test, and the length of the longest song in seconds.

    ``name`` is its registered name, if it was given by name.
    """

    def __init__(
        self, method: Method, *, device: str = "cpu", seconds: float = 60.0, name: str = ""
    ) -> None:
        self.method = method
        self.device_name = device
        self.seconds = seconds
        self.name = name
        self.changed_settings: list[str] = []
        """Process settings that the first separation has changed."""

    @cached_property
    def device(self) -> torch.device:
        """The device of the test."""
        return runner.choose_device(self.device_name)

    @property
    def kind(self) -> type[AnySeparator]:
        """The class."""
        return self.method.separator

    def declared(self) -> AnySeparator:
        """Return a separator, not loaded, for its facts."""
        return self._with_weights.create()

    def fresh(self) -> AnySeparator:
        """Return a separator that has just been loaded."""
        separator = self.declared()
        runner.load(separator, self.device)
        return separator

    def with_options(self, **changes: Any) -> AnySeparator:
        """Return the same with other options, not loaded."""
        usual: dict[str, Any] = {}
        with suppress(Exception):  # A plugin may refuse its own defaults.
            usual = vars(self.kind.Options())
        chosen = vars(self._with_weights.options)
        # A default may depend on another option, so only what differs from it is given.
        chosen = {
            name: value
            for name, value in chosen.items()
            if name not in usual or usual[name] != value
        }
        return registry.variant(self.kind, {**chosen, **changes}).create()

    def fresh_with(self, **changes: Any) -> AnySeparator:
        """Return the same with other options, loaded."""
        separator = self.with_options(**changes)
        runner.load(separator, self.device)
        return separator

    @cached_property
    def separator(self) -> AnySeparator:
        """The separator of most checks."""
        return self.fresh()

    @cached_property
    def is_untrained(self) -> bool:
        """Whether it is a network without weights, tested with random ones."""
        return self._with_weights is not self.method

    @property
    def rate(self) -> int:
        """The rate of its input in Hz."""
        return self.separator.sample_rate or ANY_RATE

    def song(
        self,
        seconds: float = 1.0,
        *,
        samples: int | None = None,
        channels: int | None = None,
        rate: int | None = None,
        seed: int = 0,
    ) -> Sound:
        """Return a song, by default with the rate and channels of the separator."""
        rate = rate or self.rate
        count = round(seconds * rate) if samples is None else samples
        channels = channels or self.separator.channels or 2
        return song(samples=count, rate=rate, channels=channels, seed=seed)

    def separate(
        self, sound: Sound, separator: AnySeparator | None = None
    ) -> dict[str, torch.Tensor]:
        """Call ``separate`` as the runner does; return its unchanged result."""
        sound = sound.to(self.device)
        return self.call(separator or self.separator, sound.mixture.clone(), sound)

    def call(
        self, separator: AnySeparator, mixture: torch.Tensor, sound: Sound
    ) -> dict[str, torch.Tensor]:
        """Separate this tensor, the mixture of a test song, without a copy."""
        if separator.members:
            made = self.through_runner(sound, separator)
            return {name: stem for name, stem in made.items() if name != separator.remainder}
        given = _known(sound) if separator.needs_references else {}
        with torch.inference_mode():
            stems = separator.process(mixture, given)
        if (wrong := wrong_kind(stems)) is not None:
            raise CheckFailed(wrong, "return {STEM: tensor, ...}, without the remainder")
        return dict(stems)

    def through_runner(
        self,
        sound: Sound,
        separator: AnySeparator | None = None,
        *,
        block_seconds: float | None = None,
    ) -> dict[str, torch.Tensor]:
        """Return all stems, including the remainder, as the commands of sepbench get them."""
        separated = self.measured(sound, separator, block_seconds=block_seconds)
        return {name: torch.from_numpy(stem) for name, stem in separated.stems.items()}

    def measured(
        self,
        sound: Sound,
        separator: AnySeparator | None = None,
        *,
        block_seconds: float | None = None,
    ) -> runner.Separation:
        """Return the stems with time and memory."""
        separator = separator or self.separator
        oracle = separator.needs_references
        return runner.separate(
            separator,
            sound.mixture.cpu().numpy().copy(),
            rate=sound.rate,
            device=self.device,
            references={n: s.cpu().numpy() for n, s in _known(sound).items()} if oracle else None,
            block_seconds=block_seconds,
        )

    @cached_property
    def first(self) -> tuple[Sound, dict[str, torch.Tensor]]:
        """The first song and its stems."""
        before = SettingsSnapshot()
        sound = self.song(min(3.0, self.seconds))
        stems = self.separate(sound)
        self.changed_settings = before.changes()
        return sound, stems

    @cached_property
    def second(self) -> Repeated:
        """The stems of the first song, separated once more."""
        sound = self.first[0].to(self.device)
        mixture = sound.mixture.clone()
        with caught() as printed:
            stems = self.call(self.separator, mixture, sound)
        kept = torch.equal(mixture, sound.mixture)
        return Repeated(stems, kept, printed)

    @cached_property
    def reloaded(self) -> tuple[dict[str, torch.Tensor], list[str]]:
        """The stems of the first song after loading again, and the used random generators."""
        with guarded_generators() as used:
            stems = self.separate(self.first[0], self.fresh())
        return stems, used

    @cached_property
    def long(self) -> tuple[Sound, runner.Separation]:
        """The longest song, in stereo, and its stems."""
        sound = self.song(self.seconds, channels=2)
        return sound, self.measured(sound)

    @cached_property
    def _with_weights(self) -> Method:
        """The method, with random weights if it is a network without weights."""
        try:
            _ = self.method.create().sample_rate
        except SepbenchError:
            if not hasattr(self.kind, "trainable"):
                raise
            folder = tempfile.mkdtemp(prefix="sepbench-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            file = untrained_weights(self.kind, Path(folder))
            options = dataclasses.replace(self.method.options, weights=str(file))
            return dataclasses.replace(self.method, options=options)
        return self.method


def untrained_weights(separator: Any, folder: Path) -> Path:
    """Write initial weights of a network, by its default config; return their path.

    They are always the same. ``separator`` is a class that `sepbench train` can train.
    """
    config = read_config(separator.name, "default", folder=separator.folder)
    trainable = model_class(separator)(config.model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = trainable.network()
    header = {
        "method": separator.name,
        "model": trainable.model,
        "context": trainable.context,
        "trained_on": [],
        "license": config.license,
    }
    file = folder / f"{separator.name}.safetensors"
    container.save(file, network.state_dict(), header)
    return file


def _known(sound: Sound) -> Mapping[str, torch.Tensor]:
    """Return the stems of a song and their sums, as a data set does."""
    return with_sums(sound.stems)
