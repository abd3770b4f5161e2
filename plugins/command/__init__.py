"""Runs any program that separates files as a method: by a preset, a card, or a command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sepbench.errors import MethodError, SepbenchError
from sepbench.options import variant_name
from sepbench.separator import Requirement, option

from ..card_facts import CardFacts

if TYPE_CHECKING:
    import torch

    from .card import Card

PRESETS = ("audio-separator", "demucs", "msst", "spleeter", "umx")


class Command(CardFacts):
    """Writes a song to a file, runs a program on it, and reads the stems that it wrote.

    Subclasses with a ``card_file`` are separate methods, without options for the command.
    """

    name = "command"
    version = "2"  # Raised when songs above full scale were scaled, not cut off.
    summary = "Any program that separates files: a preset, a YAML card, or a command line."

    warms_up = False

    card_file: ClassVar[Path | None] = None
    """The card of a subclass; ``command`` itself reads it from its options."""

    @dataclass(frozen=True)
    class Options:
        """The program, and values for placeholders of its preset or card."""

        preset: str = option("", "a known program", choices=("", *PRESETS))
        file: str = option("", "a card in YAML")
        run: str = option("", "a command line with {in} and {out}, run without a shell")
        stems: str = option(
            "", "its output files, as in vocals+drums, or vocals:*_voice.wav+drums:*_drums.wav"
        )
        remainder: str = option("", "a stem that it does not write: the song minus all others")
        program: str = option("", "path of the program, if it is not on the PATH")
        model: str = option("", "fills {model}")
        config: str = option("", "fills {config}")
        checkpoint: str = option("", "fills {checkpoint}")
        folder: str = option("", "fills {folder}")

    options: Options

    @cached_property
    def card(self) -> Card:
        """The card; raises `SepbenchError` if none is given or it is invalid."""
        from .card import choose

        return choose(self.options, self.card_file)

    @property
    def needs(self) -> tuple[Requirement, ...]:
        """The program, and other requirements of the card."""
        try:
            card = self.card
        except SepbenchError:
            return ()
        programs = dict.fromkeys(filter(None, (card.run[0], card.needs.program)))
        return tuple(Requirement(program=name, install=card.needs.install) for name in programs)

    @cached_property
    def provenance(self) -> Mapping[str, Any]:
        """The card, the program's version, and digests of the files in its command line."""
        from .card import source, unfilled
        from .provenance import provenance

        found = source(self.options, self.card_file)
        return provenance(self.card, unfilled(found, self.options), found.values)

    @property
    def batch(self) -> bool:
        """Whether the program processes many songs at once."""
        return self.card.batch == "folder"

    def load(self, device: torch.device) -> None:
        """Raise `SepbenchError` if the program is missing."""
        self._device, self._card = str(device), self.card
        for need in self.needs:
            if missing := need.missing():
                label = variant_name(self.name, self.options)
                raise MethodError(label, missing)

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Return the stems, each ``(channels, samples)``."""
        made = next(self.separate_batch([mixture]))
        if isinstance(made, SepbenchError):
            raise made
        return made

    def separate_batch(
        self, mixtures: Iterable[torch.Tensor]
    ) -> Iterator[Mapping[str, torch.Tensor] | SepbenchError]:
        """Run the program once for all songs; yield the stems of each, or an error.

        Raises `SepbenchError` if the program fails.
        """
        from .running import run

        label = variant_name(self.name, self.options)
        try:
            for made in run(
                self._card,
                mixtures,
                device=self._device,
                note=self.note,
                used=self.used_outside,
            ):
                failed = isinstance(made, SepbenchError)
                yield MethodError(label, str(made)) if failed else made
        except SepbenchError as error:
            raise MethodError(label, str(error)) from None
