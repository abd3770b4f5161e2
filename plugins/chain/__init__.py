"""A stem of one method separated by the next: ``unet.vocals > hpss.harmonic``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sepbench.errors import SepbenchError
from sepbench.options import split
from sepbench.separator import Ensemble, option
from sepbench.stems import is_stem_name, with_sums

if TYPE_CHECKING:
    import torch

    from sepbench.separator import AnySeparator

_LINK = re.compile(r"(?P<method>[^.\[\]]+(?:\[.*\])?)(?:\.(?P<stem>[^.\[\]]+))?", re.DOTALL)


class Chain(Ensemble):
    """Each method separates what the one before it made.

    A chain that ends in a stem makes that stem; one that ends in a method makes all of its stems,
    which sum to what the method was given.
    """

    name = "chain"
    summary = "A stem of one method separated by the next, to any depth."

    @dataclass(frozen=True)
    class Options:
        """What can be tuned."""

        methods: str = option(
            "unet.accompaniment > hpss",
            "methods joined by >, as in unet.vocals > hpss.harmonic: a stem goes on to the next",
            unnamed=True,
        )
        stem: str = option("", "name of the last stem")
        rest: str = option("", "a stem that is the mixture minus all that the chain makes")

    options: Options

    @classmethod
    def methods(cls, options: Options) -> Sequence[str]:
        """Return what a user would type for each member."""
        return [method for method, _ in _links(options.methods)]

    @property
    def citation(self) -> str:
        """The publications of all members."""
        return "; ".join(dict.fromkeys(member.citation for member in self.members))

    @cached_property
    def links(self) -> tuple[str, ...]:
        """The stem that each member but the last hands to the next."""
        stems = [stem for _, stem in _links(self.options.methods)][:-1]
        return tuple(_made(member, stem) for member, stem in zip(self.members, stems, strict=False))

    @property
    def combined_stems(self) -> tuple[str, ...]:
        """The stems in which the chain ends, by the names of the last member."""
        last = _links(self.options.methods)[-1][1]
        return (_made(self.members[-1], last),) if last else tuple(self.members[-1].stems)

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """Those in which the chain ends, and the rest."""
        chosen = self.options
        self.links  # noqa: B018 - raises where a member does not make the stem
        ends = self.combined_stems
        if chosen.stem and len(ends) > 1:
            raise SepbenchError(
                f"method chain: stem={chosen.stem}: the chain ends in {', '.join(ends)}; "
                f"choose one: ...{self.members[-1].name}.{ends[0]}"
            )
        stems = (chosen.stem,) if chosen.stem else ends
        for name in filter(None, (chosen.stem, chosen.rest)):
            if not is_stem_name(name):
                raise SepbenchError(f"method chain: {name!r} cannot be a stem")
        if chosen.rest in stems:
            raise SepbenchError(f"method chain: rest={chosen.rest}: the chain ends in it")
        return (*stems, chosen.rest) if chosen.rest else stems

    @property
    def remainder(self) -> str | None:
        """The rest, if one was asked for."""
        return self.options.rest or None

    def combine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return what the last member made, by the names that were asked for."""
        return {
            name: estimates[end][0]
            for name, end in zip(self.stems, self.combined_stems, strict=False)
        }


def _links(text: str) -> list[tuple[str, str | None]]:
    """Return each method and the stem behind its dot."""
    links = []
    for part in split(text, ">"):
        matched = _LINK.fullmatch(part.strip())
        if matched is None:
            raise SepbenchError(
                f"method chain: {text!r}: write it as METHOD.STEM > METHOD.STEM, "
                "as in unet.vocals > hpss.harmonic"
            )
        stem = matched["stem"]
        links.append((matched["method"].strip(), stem.strip() if stem else None))
    for method, stem in links[:-1]:
        if stem is None:
            raise SepbenchError(f"method chain: say which stem of {method} goes on: {method}.STEM")
    return links


def _made(member: AnySeparator, stem: str | None) -> str:
    """Return a stem that a member makes, or the sum of some."""
    stems = list(with_sums(dict.fromkeys(member.stems, 0)))
    if stem not in stems:
        made = ", ".join(stems)
        raise SepbenchError(f"method chain: {member.name} makes no stem {stem!r}; it has {made}")
    return stem
