"""Draws validation SDR over training time for runs of 'sepbench train'.

python benchmarks/learning_curves.py runs/unet runs/mask-cnn --out docs/learning-curves.png
"""

from __future__ import annotations

import argparse
from itertools import accumulate
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from sepbench.training import checkpoint


def main() -> None:
    """Draw one panel a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    figure, panels = plt.subplots(
        1, len(given.runs), figsize=(5 * len(given.runs), 3.4), sharey=True, squeeze=False
    )
    for panel, run in zip(panels[0], given.runs, strict=True):
        state = checkpoint.load(run / "last.pt", torch.device("cpu"))
        history = state["history"]
        minutes = list(accumulate(epoch["seconds"] / 60 for epoch in history))
        for source in sorted(set(history[0]) - {"epoch", "loss", "seconds"}):
            values = [epoch[source] for epoch in history]
            panel.plot(minutes, values, marker=".", lw=2 if source == "mean" else 1, label=source)
        panel.set_title(state["method"])
        panel.set_xlabel("minutes on the clock")
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("vocals SDR on validation songs, dB")
    panels[0][0].legend()
    figure.savefig(given.out, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
