"""The scores that a report is limited to, and the check of named stems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sepbench._util.text import matches
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record
from sepbench.report.scored import Scored
from sepbench.stems import in_order


@dataclass(frozen=True)
class Choice:
    """Globs of methods and tracks, and names of stems; an empty tuple selects all of them."""

    methods: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    stems: tuple[str, ...] = ()

    def of(self, tracks: Sequence[Scored], run: Path) -> list[Scored]:
        """Return the chosen records of a run, with only the chosen stems.

        Raises `SepbenchError` if nothing is left; it lists the methods or stems of the run.
        """
        chosen = [
            one
            for one in tracks
            if _matches(one.record.label, self.methods) and _matches(one.record.track, self.tracks)
        ]
        if not chosen:
            labels = ", ".join(sorted({one.record.label for one in tracks}))
            asked = ", ".join([*self.methods, *self.tracks])
            raise SepbenchError(f"{run}: no scores of {asked}; it has tracks of {labels}")
        scored = scored_stems(one.record for one in chosen)
        if scored and (unknown := unknown_stem(self.stems, scored)):
            raise SepbenchError(f"{run}: {unknown}")
        return [one.of_stems(self.stems) for one in chosen] if self.stems else chosen


def scored_stems(records: Iterable[Record]) -> list[str]:
    """Return the stems of which any record has scores, in the usual order."""
    return in_order({stem for record in records for stem in record.stems})


def unknown_stem(stems: Iterable[str], scored: Sequence[str]) -> str | None:
    """Return an error message that names the first stem without scores, or None."""
    unknown = next((stem for stem in stems if stem not in scored), None)
    return unknown and f"no scores of {unknown!r}; there are {', '.join(scored)}"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(matches(name, pattern) for pattern in patterns)
