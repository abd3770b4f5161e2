"""Draw validation SDR over training time for runs of 'sepbench train', side by side.

python benchmarks/learning_curves.py runs/unet runs/mask-cnn --out docs/learning-curves.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from sepbench.training import checkpoint
from sepbench.training.curves import draw_curves


def main() -> None:
    """Draw one column for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    states = [checkpoint.load(run / "last.pt", torch.device("cpu")) for run in given.runs]
    methods = [state["method"] for state in states]
    # Several runs of one method are called by their folders.
    names = methods if len(set(methods)) == len(methods) else [run.name for run in given.runs]
    histories = [state["history"] for state in states]
    draw_curves(dict(zip(names, histories, strict=True)), given.out)


if __name__ == "__main__":
    main()
