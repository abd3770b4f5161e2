"""Learning curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any


def is_score(key: str) -> bool:
    """Tell whether an entry of a run's history is a score, not a count, a time or a loss."""
    return key not in ("epoch", "loss", "seconds") and not key.startswith("validation")


def draw_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], file: Path) -> None:
    """Draw validation SDR and training loss over time, a column for each run, into a picture.

    ``histories`` are those of checkpoints: a row an epoch, by the name of the run.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 * len(histories), 5), layout="constrained")
    panels = figure.subplots(
        2, len(histories), sharex="col", sharey="row", squeeze=False, height_ratios=(2, 1)
    )
    for (name, history), (upper, lower) in zip(histories.items(), panels.T, strict=True):
        marker = "." if len(history) < 100 else ""
        minutes = list(accumulate(epoch["seconds"] / 60 for epoch in history))
        for key in sorted(key for key in history[0] if is_score(key)):
            values = [epoch[key] for epoch in history]
            upper.plot(minutes, values, marker=marker, lw=2 if key == "mean" else 1, label=key)
        lower.plot(
            minutes, [e["loss"] for e in history], marker=marker, color="black", label="training"
        )
        for key in sorted(key for key in history[0] if key.startswith("validation")):
            values = [epoch[key] for epoch in history]
            lower.plot(minutes, values, marker=marker, lw=1, label=key.replace(" loss", ""))
        lower.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
        upper.set_title(name)
        upper.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
        lower.set_xlabel("minutes on the clock")
        upper.grid(alpha=0.3)
        lower.grid(alpha=0.3)
    panels[0, 0].set_ylabel("SDR on validation songs, dB")
    panels[1, 0].set_ylabel("loss")
    figure.savefig(file, dpi=110)
