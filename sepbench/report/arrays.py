"""Scores arrays in memory, for Python programs and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from sepbench._util.arguments import names
from sepbench.datasets.base import assemble
from sepbench.errors import SepbenchError
from sepbench.evaluation.records import Record, StemResult
from sepbench.evaluation.scoring import SongScorer
from sepbench.inference.arrays import as_samples, checked_rate
from sepbench.inference.overlap_add import Samples
from sepbench.inference.runner import choose_device
from sepbench.stems import MIXTURE

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["stem", "set", "metric", "protocol", "value", "mixture", "improvement", "frames_used"]


def score(
    references: Mapping[str, ArrayLike],
    estimates: Mapping[str, ArrayLike],
    rate: int,
    *,
    mixture: ArrayLike | None = None,
    metrics: str | Sequence[str] = ("sdr",),
    device: str = "cpu",
) -> pd.DataFrame:
    """Score the estimates of one song; return one row per stem, metric and protocol.

    Args:
        references: the true stems by name, each ``(channels, samples)`` or ``(samples,)``.
        estimates: the stems to be scored, of the same names and shapes.
        rate: Hz.
        mixture: the mixture; by default the sum of the references. Its scores are in the column
            ``mixture``, and ``improvement`` is the difference to them; both are NaN for one
            reference without a mixture.
        metrics: names of metrics, or one name, see ``sepbench metrics``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        SepbenchError: for shapes that differ, samples that are not audio, and estimates of stems
            that have no reference.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(0, 0.1, (2, 2, 160000))
    >>> true = {"vocals": noise[0], "accompaniment": noise[1]}
    >>> made = {"vocals": noise[0] + 0.1 * noise[1], "accompaniment": 0.9 * noise[1]}
    >>> table = score(true, made, 8000).query("protocol == 'mdx' and stem == 'vocals'")
    >>> float(table["value"].iloc[0].round(1))
    20.0
    """
    rate = checked_rate(rate)
    true, made = _alike(references, estimates)
    whole = None if mixture is None else as_samples(mixture, "mixture")
    song = assemble("in memory", whole, true, rate)
    chosen = names(metrics, "metrics")
    return _table(SongScorer(song, chosen, str(choose_device(device))).score(made))


def _table(results: dict[str, StemResult]) -> pd.DataFrame:
    from sepbench.report.tables import scores

    record = Record(
        dataset="arrays",
        subset="",
        track="in memory",
        label="estimates",
        method="estimates",
        options={},
        fingerprint="",
        identity={},
        stems=results,
    )
    return scores([record])[_COLUMNS]


def _alike(
    references: Mapping[str, ArrayLike], estimates: Mapping[str, ArrayLike]
) -> tuple[dict[str, Samples], dict[str, Samples]]:
    """Return both as float32; raise `SepbenchError` if there are none or their shapes differ."""
    for what, stems in (("references", references), ("estimates", estimates)):
        if not (isinstance(stems, Mapping) and all(isinstance(name, str) for name in stems)):
            raise SepbenchError(f"{what}: give a dict of arrays by stem, {{'vocals': array}}")
    for name in (*references, *estimates):
        if not name.strip() or name == MIXTURE:
            raise SepbenchError(f"{name!r} is no stem; name stems, as in {{'vocals': array}}")
    true = {name: as_samples(array, f"reference {name}") for name, array in references.items()}
    made = {name: as_samples(array, f"estimate {name}") for name, array in estimates.items()}
    if not true or not made:
        raise SepbenchError("give at least one reference and one estimate")
    shape = next(iter(true.values())).shape
    for what, arrays in (("reference", true), ("estimate", made)):
        for name, samples in arrays.items():
            if samples.shape != shape:
                raise SepbenchError(
                    f"{what} {name}: shape {samples.shape}, others have {shape}; make them alike"
                )
    return true, made
