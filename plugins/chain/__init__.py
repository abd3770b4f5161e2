"""Chains of methods: ``unet.vocals > hpss.harmonic``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sepbench.errors import MethodError
from sepbench.options import split
from sepbench.separator import Ensemble, option
from sepbench.stems import is_stem_name, with_sums

if TYPE_CHECKING:
    import torch

    from sepbench.separator import AnySeparator

_LINK = re.compile(r"(?P<method>[^.\[\]]+(?:\[.*\])?)(?:\.(?P<stem>[^.\[\]]+))?", re.DOTALL)


class Chain(Ensemble):
    """Each method separates a stem of the previous one.

    A chain that ends in a stem makes that stem; one that ends in a method makes all of its stems,
    which sum to the method's input.
    """

    name = "chain"
    summary = "A chain of methods: a stem of one is separated by the next."

    @dataclass(frozen=True)
    class Options:
        """Options."""

        methods: str = option(
            "unet.accompaniment > hpss",
            "methods joined by >, as in unet.vocals > hpss.harmonic",
            unnamed=True,
        )
        stem: str = option("", "name of the last stem")
        rest: str = option("", "name of a stem for the mixture minus the others")

    options: Options

    @classmethod
    def methods(cls, options: Options) -> Sequence[str]:
        """Return the members as a user would type them."""
        return [method for method, _ in _links(options.methods)]

    @property
    def citation(self) -> str:
        """The publications of all members."""
        return "; ".join(dict.fromkeys(member.citation for member in self.members))

    @cached_property
    def links(self) -> tuple[str, ...]:
        """The stem that each member passes to the next."""
        stems = [stem for _, stem in _links(self.options.methods)][:-1]
        return tuple(_made(member, stem) for member, stem in zip(self.members, stems, strict=False))

    @property
    def combined_stems(self) -> tuple[str, ...]:
        """The final stems, by their names in the last member."""
        last = _links(self.options.methods)[-1][1]
        return (_made(self.members[-1], last),) if last else tuple(self.members[-1].stems)

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The final stems, and the rest."""
        chosen = self.options
        self.links  # noqa: B018 - raises where a member does not make the stem
        ends = self.combined_stems
        if chosen.stem and len(ends) > 1:
            raise MethodError(
                self.name,
                f"stem={chosen.stem}: the chain ends in {', '.join(ends)}; "
                f"choose one: ...{self.members[-1].name}.{ends[0]}",
            )
        stems = (chosen.stem,) if chosen.stem else ends
        for name in filter(None, (chosen.stem, chosen.rest)):
            if not is_stem_name(name):
                raise MethodError(self.name, f"{name!r} cannot be a stem")
        if chosen.rest in stems:
            raise MethodError(self.name, f"rest={chosen.rest}: the chain ends in it")
        return (*stems, chosen.rest) if chosen.rest else stems

    @property
    def remainder(self) -> str | None:
        """The rest, if one was asked for."""
        return self.options.rest or None

    def combine(
        self, mixture: torch.Tensor, estimates: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        """Return the stems of the last member, renamed by the options."""
        return {
            name: estimates[end][0]
            for name, end in zip(self.stems, self.combined_stems, strict=False)
        }


def _links(text: str) -> list[tuple[str, str | None]]:
    """Return each method and the stem after its dot."""
    links = []
    for part in split(text, ">"):
        matched = _LINK.fullmatch(part.strip())
        if matched is None:
            raise MethodError(
                "chain",
                f"{text!r}: write it as METHOD.STEM > METHOD.STEM, "
                "as in unet.vocals > hpss.harmonic",
            )
        stem = matched["stem"]
        links.append((matched["method"].strip(), stem.strip() if stem else None))
    for method, stem in links[:-1]:
        if stem is None:
            raise MethodError("chain", f"choose a stem of {method}: {method}.STEM")
    return links


def _made(member: AnySeparator, stem: str | None) -> str:
    """Return a stem of a member, or a sum of its stems."""
    stems = list(with_sums(dict.fromkeys(member.stems, 0)))
    if stem not in stems:
        made = ", ".join(stems)
        raise MethodError("chain", f"{member.name} has no stem {stem!r}; it has {made}")
    return stem
