"""Draws learning curves."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sepbench._util.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]
"""One row per epoch, as in checkpoints; values that were not measured in an epoch are missing."""

_COLOURS = {"training": "black", "validation": "tab:blue", "test": "tab:red"}


def is_loss(key: str) -> bool:
    """Return whether an entry of a run's history is a training loss.

    Scores are called after folders: ``lossless`` is none.
    """
    return key == "loss" or key.startswith("loss ")


def is_score(key: str) -> bool:
    """Return whether an entry of a run's history is a score."""
    return key not in ("epoch", "seconds") and not is_loss(key.removeprefix("validation "))


def draw_curves(
    histories: Mapping[str, History],
    file: Path,
    *,
    tests: Mapping[str, float] | None = None,
    best_epoch: int = 0,
    loss: str = "loss",
    unit: str = "dB",
) -> None:
    """Draw scores and losses over epochs, with one column per run.

    Below the scores of validation songs is one panel per network with its training and validation
    loss. ``histories`` are rows by the name of the run. ``tests`` are the losses of the best
    weights on test songs, by ``loss`` or ``loss NAME``, drawn at ``best_epoch``; ``loss`` describes
    the loss, and ``unit`` is that of the scores.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    keys = [_loss_keys(history) for history in histories.values()]
    rows = 1 + max(map(len, keys))
    named = [_score_keys(history) for history in histories.values()]
    # Names of scores are those of folders; they take the room they need beside the panels.
    wide = 7 + 0.07 * max(0, max((len(key) for keys in named for key in keys), default=0) - 24)
    high = max(3.4, 0.4 + 0.19 * max(map(len, named)))
    figure = Figure(figsize=(wide * len(histories), high + 1.9 * (rows - 1)), layout="constrained")
    panels = figure.subplots(
        rows,
        len(histories),
        sharex="col",
        squeeze=False,
        height_ratios=(2 * high / 3.4, *[1] * (rows - 1)),
    )
    for (name, history), losses, column in zip(histories.items(), keys, panels.T, strict=True):
        _draw_scores(column[0], history, unit)
        column[0].set_title(name)
        for axes in column[1 + len(losses) :]:
            axes.set_visible(False)
        for axes, key in zip(column[1:], losses, strict=False):
            _line(axes, history, key, "training", color=_COLOURS["training"])
            _line(axes, history, f"validation {key}", "validation", color=_COLOURS["validation"])
            if tests and key in tests:
                axes.plot(best_epoch, tests[key], "D", label="test", color=_COLOURS["test"])
            axes.set_ylabel("\n".join([key.removeprefix("loss").strip(), loss]).strip())
        last = column[len(losses)]
        minutes = sum(row["seconds"] for row in history) / 60
        last.set_xlabel(f"epochs ({minutes:.0f} minutes in all)")
        last.tick_params(labelbottom=True)
    for axes in panels.flat:
        if axes.get_visible():
            axes.grid(alpha=0.3)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    write_figure(figure, file)


def write_figure(figure: Figure, file: Path) -> None:
    """Write a figure as PNG, atomically; raise `SepbenchError` if it cannot be written."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    write_atomic(file, drawn.getbuffer())


def _loss_keys(history: History) -> list[str]:
    """Return the names of a run's losses: one per network."""
    several = {key.removeprefix("validation ") for row in history for key in row}
    return sorted(key for key in several if key.startswith("loss ")) or ["loss"]


def _score_keys(history: History) -> list[str]:
    return sorted({key for row in history for key in row if is_score(key)})


def _draw_scores(axes: Axes, history: History, unit: str) -> None:
    for number, key in enumerate(_score_keys(history)):
        # There are ten colours.
        dashes = "-" if key == "mean" else ("-", "--", ":", "-.")[number // 10 % 4]
        _line(axes, history, key, key, lw=2 if key == "mean" else 1, ls=dashes)
    score = "SDR" if unit == "dB" else "share of frames"
    axes.set_ylabel(f"{score} on validation songs{f', {unit}' if unit else ''}")


def _line(axes: Axes, history: History, key: str, label: str, **style: Any) -> None:
    found = [(row["epoch"], row[key]) for row in history if key in row]
    if found:
        epochs, values = zip(*found, strict=True)
        axes.plot(epochs, values, marker="." if len(found) < 100 else "", label=label, **style)
