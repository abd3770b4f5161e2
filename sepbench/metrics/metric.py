"""The contract of metrics.

A metric is one class: declared facts and one pure function. Most metrics compare one estimate with
its reference (`Metric`); those that need all stems scored together derive from `SetMetric`.

Keep heavy imports (torch among them) inside the methods: ``sepbench metrics`` reads the facts of
all metrics in a fraction of a second.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sepbench.options import NoOptions, option, variant_name

if TYPE_CHECKING:
    import torch

    from sepbench.metrics.protocols import Reduction

__all__ = [
    "Estimates",
    "Golden",
    "Metric",
    "NoOptions",
    "SetMetric",
    "Song",
    "once_each",
    "option",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Golden:
    """Scores by a reference implementation for the signals of `sepbench.metrics.golden.song`.

    ``values`` are by stem and score, as in ``"vocals SDR"``: of scores by windows, the median.
    ``source`` names the implementation with its version. A score may differ by ``tolerance``,
    absolute and relative. ``options`` are those of the metric.
    """

    source: str
    values: Mapping[str, float]
    tolerance: float = 1e-4
    options: Mapping[str, Any] = field(default_factory=dict)


class _WithCache:
    """Caches intermediate results shared by several metrics or methods."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the cached result of ``key``, computed on the first call."""
        if key not in self._known:
            self._known[key] = compute()
        known: T = self._known[key]
        return known

    def remember(self, key: Hashable, value: Any) -> None:
        """Cache a result for ``key``."""
        self._known[key] = value

    def known(self, key: Hashable) -> Any:
        """Return the cached result of ``key``, or None."""
        return self._known.get(key)


class Song(_WithCache):
    """The references of the stems that are scored together, their mixture, and the rate in Hz.

    Results of `once` are cached while the song is scored, for all methods.

    Shape:
        each of references, mixture: float32 ``(channels, samples)``, full scale 1, on one device.
    """

    def __init__(
        self, references: Mapping[str, torch.Tensor], mixture: torch.Tensor, rate: int
    ) -> None:
        super().__init__()
        self.references = dict(references)
        self.mixture = mixture
        self.rate = rate

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems that are scored together."""
        return tuple(self.references)


class Estimates(_WithCache):
    """One method's estimates of the stems of a `Song`, in the same order and of the same shape.

    ``mixture`` is true if each estimate is the unprocessed mixture, the baseline of
    improvements.
    """

    def __init__(self, stems: Mapping[str, torch.Tensor], *, mixture: bool = False) -> None:
        super().__init__()
        self.stems = dict(stems)
        self.mixture = mixture


def once_each(
    several: list[Estimates], key: Hashable, compute: Callable[[list[Estimates]], list[T]]
) -> list[T]:
    """Return ``compute`` for each set of estimates, from the cache if possible."""
    new = [one for one in several if one.known(key) is None]
    if new:
        for one, found in zip(new, compute(new), strict=True):
            one.remember(key, found)
    return [one.known(key) for one in several]


class _Facts(ABC):
    """The declared facts of every metric."""

    name: ClassVar[str]
    """The name: lower-case letters, digits and hyphens."""

    summary: ClassVar[str]
    """One sentence: what it measures."""

    groups: ClassVar[tuple[str, ...]] = ()
    """Groups of metrics it belongs to, such as ``spectral``; ``all`` has every metric."""

    totals: ClassVar[tuple[str, ...]] = ()
    """Names of its scores of a whole track; the metric's own name if it has only one."""

    frames: ClassVar[tuple[str, ...]] = ()
    """Names of its scores of each window of one second."""

    unit: ClassVar[str] = ""
    """``dB``, ``LU``, ...; empty for a plain number."""

    higher_is_better: ClassVar[bool | None]
    """None: the best score is 0, and larger magnitudes are worse."""

    lower: ClassVar[tuple[str, ...]] = ()
    """Names of scores for which lower is better, in a metric for which higher is better."""

    over_tracks: ClassVar[tuple[Reduction, ...]] = ("median", "mean")
    """Statistics over tracks; tables show the first."""

    silence: ClassVar[str]
    """The result for a silent reference or estimate, in a few words."""

    source: ClassVar[str]
    """The publication, or the program, that defines it."""

    license: ClassVar[str] = "MIT"
    """SPDX identifier of the code."""

    version: ClassVar[str] = "1"
    """Increased whenever the same signals and options would give other numbers."""

    sample_rate: ClassVar[int | None] = None
    """Rate in Hz at which it is defined; signals are resampled. None: any rate."""

    needs: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Optional modules, each with the command that installs it."""

    golden: ClassVar[tuple[Golden, ...]] = ()
    """Scores by its reference implementation; ``sepbench plugin check`` compares."""

    by_stem: ClassVar[bool] = False
    """Whether a stem's score depends on its own signals and the mixture alone."""

    prefixed: ClassVar[bool] = True
    """Whether stored names of scores begin with the metric's name."""

    Options: ClassVar[type[Any]] = NoOptions

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @cached_property
    def label(self) -> str:
        """The name, with the options that differ from their defaults."""
        return variant_name(self.name, self.options)

    def id_of(self, score: str) -> str:
        """Return the id under which a score is stored."""
        if not self.prefixed:
            return score
        return self.label if score == self.name else f"{self.label} {score}"

    @property
    def identity(self) -> str:
        """Everything but the signals that decides a score; others are computed again."""
        return self.label if self.version == "1" else f"{self.label} {self.version}"


class SetMetric(_Facts):
    """A metric that needs all stems that are scored together."""

    @abstractmethod
    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return the scores by name.

        Shape:
            each of ``totals``: ``(stems,)``; each of ``frames``: ``(stems, windows)``.
        """

    def score_sets(self, song: Song, several: list[Estimates]) -> list[Mapping[str, torch.Tensor]]:
        """Return the scores of several methods, each as by `score_set`.

        Override it if scoring them together is faster.
        """
        return [self.score_set(song, estimates) for estimates in several]


class Metric(SetMetric):
    """A metric that compares one estimate with its reference."""

    by_stem = True

    @abstractmethod
    def score(
        self, reference: torch.Tensor, estimate: torch.Tensor, mixture: torch.Tensor, rate: int
    ) -> float | torch.Tensor | Mapping[str, float | torch.Tensor]:
        """Return the score of one stem, or several by name; NaN if undefined.

        Shape:
            reference, estimate, mixture: float32 ``(channels, samples)`` on one device; do not
            write to them.
            each of ``totals``: one number; each of ``frames``: ``(windows,)``.
        """

    def score_set(self, song: Song, estimates: Estimates) -> Mapping[str, torch.Tensor]:
        """Return the scores of all stems, computed one after the other; see `SetMetric`."""
        import torch

        by_stem = []
        for stem, reference in song.references.items():
            found = self.score(reference, estimates.stems[stem], song.mixture, song.rate)
            by_stem.append(found if isinstance(found, Mapping) else {self._only: found})
        return {
            name: torch.stack(
                [torch.as_tensor(found[name], dtype=torch.float64).cpu() for found in by_stem]
            )
            for name in by_stem[0]
        }

    @property
    def _only(self) -> str:
        (name,) = (*self.totals, *self.frames)
        return name
