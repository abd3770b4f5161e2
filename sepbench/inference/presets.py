"""Presets: the methods for each purpose, best first."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sepbench import registry
from sepbench.errors import SepbenchError
from sepbench.registry import Method
from sepbench.stems import STEMS, stem_of, with_sums
from sepbench.weights import files


@dataclass(frozen=True)
class Choice:
    """A method for a purpose, its stem, and the reason of its rank.

    ``score`` is the stem's SDR in dB on the built-in excerpt, by `sepbench evaluate`.
    """

    spec: str
    stem: str
    reason: str = ""
    score: float | None = None

    @property
    def why(self) -> str:
        """The reason with the score, for the user."""
        measured = f"{self.score or 0:.2f} dB SDR on the built-in excerpt"
        return ", ".join(filter(None, [self.reason, measured if self.score is not None else ""]))


@dataclass(frozen=True)
class Chosen:
    """The method chosen by a preset, and why better ones cannot be used."""

    choice: Choice
    method: Method
    passed_over: dict[str, str] = field(default_factory=dict)


_DEMUCS = "published at 9.00 dB SDR over all stems of MUSDB18-HQ"
_UMXL = "the Open-Unmix model with most training data"
_WITH_SPLEETER = "ensemble[spleeter+4*unet-stereo+2*unet]"
_WITHOUT_SPLEETER = "ensemble[2*unet-stereo+unet]"
_FOUR_STEMS = "four-stems"
_TOGETHER = "better than each of its members on validation songs of three kinds"
BEST_INCLUDED = "of the included methods the best for songs of any length"
_IN_NOISE = "{} dB SDR for a voice in equally loud noise"

PRESETS: dict[str, tuple[Choice, ...]] = {
    "acapella": (
        Choice("demucs[model=htdemucs_ft]", "vocals", _DEMUCS),
        Choice("open-unmix[model=umxl]", "vocals", _UMXL),
        Choice(_WITH_SPLEETER, "vocals", _TOGETHER, score=4.87),
        Choice(_WITHOUT_SPLEETER, "vocals", BEST_INCLUDED),
        Choice("unet-stereo", "vocals", score=4.52),
        Choice("spleeter", "vocals", score=3.86),
        Choice("repet-sim", "vocals", score=1.94),
    ),
    "karaoke": (
        Choice("demucs[model=htdemucs_ft]", "accompaniment", _DEMUCS),
        Choice("open-unmix[model=umxl]", "accompaniment", _UMXL),
        Choice(_WITH_SPLEETER, "accompaniment", _TOGETHER),
        Choice(_WITHOUT_SPLEETER, "accompaniment", BEST_INCLUDED),
        Choice("unet-stereo", "accompaniment", score=11.86),
        Choice("spleeter", "accompaniment", score=11.73),
        Choice("repet-sim", "accompaniment", score=8.09),
    ),
    "drums": (
        Choice("demucs[model=htdemucs_ft]", "drums", _DEMUCS),
        Choice("open-unmix[model=umxl]", "drums", _UMXL),
        Choice(_FOUR_STEMS, "drums", score=7.81),
        Choice("cdae", "percussive", score=7.67),
        Choice("hpss", "percussive", score=2.36),
    ),
    "bass": (
        Choice("demucs[model=htdemucs_ft]", "bass", _DEMUCS),
        Choice("open-unmix[model=umxl]", "bass", _UMXL),
        Choice(_FOUR_STEMS, "bass", "the one included method that makes it", score=3.58),
    ),
    # Measured by benchmarks/denoise.py, in noise of four kinds.
    "denoise-voice": (
        Choice("open-unmix[model=umxse]", "vocals", "trained on speech in noise"),
        Choice("spleeter", "vocals", _IN_NOISE.format("9.2 to 13.8")),
        Choice("mask-cnn", "vocals", _IN_NOISE.format("8.4 to 12.5")),
        Choice(
            "repet-sim[recipe=librosa,margin_vocals=2]", "vocals", _IN_NOISE.format("5.1 to 6.7")
        ),
    ),
    "denoise-respiratory": (
        Choice(
            "repet-sim",
            "vocals",
            "treats what repeats as noise; no network was trained on breathing",
        ),
    ),
}
"""The methods for each purpose, best first; the last one is always available."""


def choose(preset: str) -> Chosen:
    """Return the first method of a preset that is installed and has its weights.

    Raises `SepbenchError` if no method of the preset can be used.
    """
    return _first(PRESETS[preset], f"preset {preset}")


def choose_default(stems: Sequence[str] = ()) -> Chosen:
    """Return the best usable method, or the best one that makes some stems.

    Raises `SepbenchError` if no usable method makes all of them.
    """
    choices = PRESETS["acapella"] + PRESETS["drums"] + PRESETS["bass"]
    if unknown := [stem for stem in stems if stem not in STEMS]:
        (stem, *_) = unknown
        meant = stem_of(stem, whole=True)
        near = [meant] if meant in STEMS else difflib.get_close_matches(stem.lower(), STEMS, n=1)
        cure = f"did you mean {near[0]!r}?" if near else "choose a --method that makes it"
        raise SepbenchError(f"no --method: none of its methods makes {stem!r}; {cure}")
    chosen = _first(choices, "no --method", stems)
    return replace(chosen, choice=_of_stems(chosen.choice.spec, stems)) if stems else chosen


def _of_stems(spec: str, stems: Sequence[str]) -> Choice:
    """Return the choice of a method for its stems, with the reason where one is known for them."""
    choices = (choice for choices in PRESETS.values() for choice in choices)
    known = (choice for choice in choices if choice.spec == spec and [choice.stem] == [*stems])
    return next(known, Choice(spec, ", ".join(stems)))


def _first(choices: Sequence[Choice], purpose: str, stems: Sequence[str] = ()) -> Chosen:
    passed_over: dict[str, str] = {}
    unfit: dict[str, str] = {}  # Of other stems: not preferred, whether they are here or not.
    for choice in choices:
        try:
            (method,) = registry.resolve(choice.spec)
            if lacking := _missing_stem(method, stems):
                unfit[choice.spec] = lacking
                continue
            missing = _missing(method)
        except SepbenchError as error:
            missing = str(error)
        if missing is None:
            return Chosen(choice, method, passed_over)
        passed_over[choice.spec] = missing
    all_reasons = {**passed_over, **unfit}
    reasons = "; ".join(f"{spec}: {missing}" for spec, missing in all_reasons.items())
    raise SepbenchError(f"{purpose}: none of its methods can be used: {reasons}")


def _missing_stem(method: Method, stems: Sequence[str]) -> str | None:
    possible = with_sums(dict.fromkeys(method.declared.stems, 0))
    lacking = [stem for stem in stems if stem not in possible]
    return f"does not make {lacking[0]}" if lacking else None


def _missing(method: Method) -> str | None:
    """Return which weights of a method are missing, or None."""
    _ = method.identity  # Raises for a network without any weights.
    lacks = (files.missing(part.declared) for part in method.parts())
    return next(filter(None, lacks), None)
