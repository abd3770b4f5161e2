"""Scores the stems of one track, each in the set where its score is comparable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sepbench.errors import SepbenchError
from sepbench.evaluation.store import StemResult
from sepbench.stems import SUMS, TARGET_SETS, in_order, merge_into_other, with_sums

if TYPE_CHECKING:
    from sepbench.datasets.base import TrackAudio
    from sepbench.inference.overlap_add import Samples
    from sepbench.metrics.scorer import TrackScorer


def target_sets(stems: Sequence[str], references: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each stem that can be scored, the set in which it is scored.

    That is the largest set of stems with references that is either what the method itself makes
    or one of `sepbench.stems.TARGET_SETS`; a sum of stems is not in the set of its terms.

    >>> target_sets(["vocals", "drums", "bass", "other"], ["vocals", "accompaniment"])
    {'vocals': ('vocals', 'accompaniment'), 'accompaniment': ('vocals', 'accompaniment')}
    """
    made = in_order(stems)
    terms = [name for name in made if not set(SUMS.get(name, ("",))) <= set(stems)]
    estimates = with_sums(dict.fromkeys(made, 0))
    scored = [name for name in estimates if name in references]
    sets = [tuple(n for n in members if n in scored) for members in (tuple(terms), *TARGET_SETS)]
    chosen = {}
    for name in scored:
        chosen[name] = max((members for members in sets if name in members), key=len)
    return chosen


def new_scorer(song: TrackAudio, metrics: Sequence[str], device: str) -> TrackScorer:
    """Return what scores the estimates of a song, one method after another."""
    import torch

    from sepbench.metrics.scorer import TrackScorer
    from sepbench.registry.metrics import resolve_metrics

    return TrackScorer(
        {name: torch.from_numpy(stem) for name, stem in song.references.items()},
        torch.from_numpy(song.mixture),
        song.rate,
        metrics=resolve_metrics(metrics),
        device=device,
    )


def score_stems(
    scorer: TrackScorer, stems: Mapping[str, Samples], references: Sequence[str]
) -> dict[str, StemResult]:
    """Score the stems that a method made of a track, and the sums of them that have references.

    Raises `SepbenchError` where no stem has a reference.
    """
    import torch

    stems = merge_into_other(stems, references)
    estimates = {name: torch.from_numpy(stem) for name, stem in with_sums(stems).items()}
    chosen = target_sets(list(stems), references)
    if not chosen:
        raise SepbenchError(f"the track has no reference for any of {', '.join(stems)}")
    results = {}
    with _one_thread():
        for targets in dict.fromkeys(chosen.values()):
            scores = scorer.score({name: estimates[name] for name in targets}, targets=targets)
            for name in targets:
                if chosen[name] == targets:
                    results[name] = StemResult(targets=targets, **vars(scores[name]))
    return {name: results[name] for name in chosen}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Score on one thread: handing such small pieces around costs more than it wins."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
