"""Options of separators with trained weights; `sepbench.training.learned` has them too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sepbench.separator import option


def wiener_option(
    unless: str = "for weights not trained for the least error",
) -> Any:
    """Declare the option ``wiener`` of a `sepbench.training.learned.Learned`.

    ``unless`` names the cases in which `Learned.least_error` is false.
    """
    return option(
        -1,
        "iterations of a filter that separates stems of stereo songs by their position; "
        f"0: none; -1: one, or none {unless}",
        minimum=-1,
        maximum=5,
    )


def weights_option(*, known: Sequence[str] = ("default",)) -> Any:
    """Declare the option ``weights`` of a method that ships ``known`` ones."""
    return option(
        "default",
        "name of shipped weights, or path of a .safetensors file, a run or its checkpoint",
        known=known,
    )


@dataclass(frozen=True)
class LearnedOptions:
    """The options of every learned separator; subclasses add more."""

    weights: str = weights_option()
    full_band: bool = option(
        True, "continue the mask above the trained band; false: silence above it"
    )
    wiener: int = wiener_option()
    semitones: float = option(
        0.0,
        "by how much the network hears the song higher and faster, or lower and slower; "
        "the stems keep the song's pitch and tempo",
        minimum=-12.0,
        maximum=12.0,
    )


@dataclass(frozen=True)
class MonoOptions(LearnedOptions):
    """The options of separators whose network takes one channel at a time."""

    stereo: str = option(
        "auto",
        "the two channels that are separated in stereo songs; auto: mid and side, or left and "
        "right with weights not trained for the least error",
        choices=("auto", "mid-side", "left-right"),
    )
