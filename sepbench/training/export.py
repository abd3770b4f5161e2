"""Writes checkpoints as weight files with a header."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from sepbench._util.text import song_marks
from sepbench.errors import SepbenchError
from sepbench.training import checkpoint
from sepbench.training.build import trainable_of, trained_separator
from sepbench.training.config import Config
from sepbench.training.curves import is_score
from sepbench.training.data.prepared import PreparedDataset
from sepbench.training.model import Trainable
from sepbench.training.run_weights import BEST, LAST
from sepbench.weights import container


def describe(config: Config, dataset: PreparedDataset) -> dict[str, Any]:
    """Return the provenance of a run, for its checkpoints."""
    tracks = dataset.split("train").tracks
    sources = sorted({f"{track.source}/{track.split}" for track in tracks})
    return {
        "training": config.as_dict(),
        "trained_on": sources,
        "songs": {
            mark: round(track.samples / dataset.rate, 1)
            for track in tracks
            for mark in sorted(song_marks(track.name))
        },
        "sounds": sorted({track.sound for track in tracks if track.sound}),
        "data_sha256": dataset.digest,
        "license": config.license_for({track.source for track in tracks}),
    }


def export(state: dict[str, Any], trainable: Trainable, file: Path) -> dict[str, Any]:
    """Write the weights of a checkpoint, as `checkpoint.load` returns it; return their header."""
    header = header_of(state, trainable.context)
    container.save(file, state["weights"], header)
    return header


def header_of(state: dict[str, Any], context: float | None) -> dict[str, Any]:
    """Return the header of a weight file made from a checkpoint."""
    config, scores = state.get("config", {}), (state.get("history") or [{}])[-1]
    training = config.get("training", {})
    return {
        "method": state["method"],
        "model": state["model"],
        "context": context,
        "config": training,
        "config_sha256": container.digest(training),
        "trained_on": config.get("trained_on", []),
        "songs": config.get("songs", {}),
        "sounds": config.get("sounds", []),
        "data_sha256": config.get("data_sha256", ""),
        # Runs begun before 0.1.0 spell it "licence".
        "license": config.get("license", config.get("licence", "")),
        "notes": "",
        # Initial weights of the run; None: random ones.
        "init": config.get("init"),
        "epochs": state.get("epoch", 0),
        "steps": state.get("steps", 0),
        "validation": {
            name: round(value, 3)
            for name, value in scores.items()
            if (is_score(name) or name.startswith("validation")) and math.isfinite(value)
        },
    }


def export_run(source: Path, out: Path) -> dict[str, Any]:
    """Write the weights of a run's folder, or of one of its checkpoints; return their header.

    For a folder the best epoch is used, or the last if there is no best. Raises `SepbenchError` if
    there is no checkpoint, or its method is not installed.
    """
    file = source
    if source.is_dir():
        file = source / BEST
        file = file if file.is_file() else source / LAST
    if not file.is_file():
        raise SepbenchError(f"{source}: not a run, it has neither {BEST} nor {LAST}")
    state = checkpoint.load(file, torch.device("cpu"), cure=checkpoint.ANOTHER)
    trainable = trainable_of(trained_separator(state["method"]), state["model"], str(file))
    return export(state, trainable, out)
