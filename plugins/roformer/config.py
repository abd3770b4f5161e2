"""Configs of RoFormer checkpoints by Music-Source-Separation-Training (MSST)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sepbench.errors import SepbenchError
from sepbench.stems import is_stem_name, stem_of
from sepbench.weights.card import read_mapping

_SECTIONS = ("audio", "model", "training", "inference")
_COMPLEMENTS = {"vocals": "accompaniment", "accompaniment": "vocals"}


@dataclass(frozen=True)
class Config:
    """The parts of a config that decide the stems.

    ``chunk`` is in samples; ``remainder`` is the stem that the network does not make.
    """

    name: str
    kind: Literal["bs", "mel"]
    model: dict[str, Any]
    stems: tuple[str, ...]
    remainder: str | None
    rate: int
    channels: Literal[1, 2]
    chunk: int
    frames: int
    n_fft: int
    hop: int
    num_overlap: int
    normalize: bool

    def samples(self, scheme: str) -> int:
        """Return the samples of a chunk: audio-separator derives them from the frames."""
        return self.hop * (self.frames - 1) if scheme == "audio-separator" else self.chunk


def read(path: Path) -> Config:
    """Return the content of a YAML file of MSST; raise `SepbenchError` for other files."""
    sections = _sections(path)
    model = sections["model"]
    kinds = [
        kind for key, kind in {"freqs_per_bands": "bs", "num_bands": "mel"}.items() if key in model
    ]
    if "dim" not in model or "depth" not in model or len(kinds) > 1:
        raise SepbenchError(f"{path}: not the config of a RoFormer: model: dim, depth ... expected")
    stems, remainder = _stems(sections["training"], str(path))

    def number(*places: tuple[str, str], default: int) -> int:
        return _number(sections, places, default, str(path))

    made = number(("model", "num_stems"), default=1)
    if made != len(stems):
        raise SepbenchError(
            f"{path}: model: num_stems: {made}, but by the section training the network makes "
            f"{', '.join(stems)}; correct num_stems, instruments or target_instrument"
        )
    hop = number(("model", "stft_hop_length"), ("audio", "hop_length"), default=512)
    chunk = number(("inference", "chunk_size"), ("audio", "chunk_size"), default=0)
    if not chunk:
        raise SepbenchError(f"{path}: audio: chunk_size is missing")
    return Config(
        name=str(path),
        # A BS-RoFormer with default bands has neither.
        kind="mel" if kinds == ["mel"] else "bs",
        model=model,
        stems=stems,
        remainder=remainder,
        rate=number(("audio", "sample_rate"), ("model", "sample_rate"), default=44_100),
        channels=2 if _truth(sections, "model", "stereo", str(path)) else 1,
        chunk=chunk,
        frames=number(("inference", "dim_t"), default=chunk // hop + 1),
        n_fft=number(("model", "stft_n_fft"), default=2048),
        hop=hop,
        num_overlap=number(("inference", "num_overlap"), default=2),
        normalize=_truth(sections, "inference", "normalize", str(path)),
    )


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    sections = read_mapping(path, str(path), tuples=True)
    if not isinstance(sections.get("model"), dict):
        raise SepbenchError(f"{path}: not a config of MSST: the section 'model' is missing")
    found = {name: sections.get(name) or {} for name in _SECTIONS}
    for name, section in found.items():
        if not isinstance(section, dict):
            raise SepbenchError(f"{path}: {name}: expected 'key: value' lines, not {section!r}")
    return found


def _number(
    sections: Mapping[str, Mapping[str, Any]],
    places: Iterable[tuple[str, str]],
    default: int,
    name: str,
) -> int:
    """Return the whole number above 0 at the first of some keys that has one."""
    for section, key in places:
        value = sections[section].get(key)
        if value is None:
            continue
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (is_number and value >= 1 and value % 1 == 0):
            raise SepbenchError(
                f"{name}: {section}: {key}: expected a whole number above 0, not {value!r}"
            )
        return int(value)
    return default


def _truth(sections: Mapping[str, Mapping[str, Any]], section: str, key: str, name: str) -> bool:
    value = sections[section].get(key) or False
    if not isinstance(value, bool):  # In quotes "false" is a text, which counts as true.
        raise SepbenchError(f"{name}: {section}: {key}: expected true or false, not {value!r}")
    return value


def _stems(training: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], str | None]:
    """Return the stems of the network, and the rest."""
    named = training.get("instruments") or []
    if not isinstance(named, list):
        raise SepbenchError(f"{name}: training: instruments: expected a list, not {named!r}")
    instruments = [_stem(str(one), name) for one in named]
    if not instruments:
        raise SepbenchError(f"{name}: training: instruments is missing")
    target = training.get("target_instrument")
    if len(instruments) == 2 and "other" in instruments:
        # With two stems the other is the rest.
        (first,) = (one for one in instruments if one != "other")
        rest = _COMPLEMENTS.get(first, f"no_{first}")
        instruments = [rest if one == "other" else one for one in instruments]
        if target is not None and _stem(str(target), name) == "other":
            target = rest
    if target is None:
        return tuple(instruments), None
    made = _stem(str(target), name)
    others = [one for one in instruments if one != made]
    rest = others[0] if len(others) == 1 else _COMPLEMENTS.get(made, f"no_{made}")
    return (made,), rest


def _stem(instrument: str, name: str) -> str:
    """Return the stem of an instrument: ``No Reverb`` becomes ``no_reverb``."""
    word = re.sub(r"[^a-z0-9]+", "_", instrument.lower()).strip("_")
    stem = stem_of(word, whole=True) or word
    if not is_stem_name(stem):
        raise SepbenchError(f"{name}: training: instruments: {instrument!r} cannot be a stem")
    return stem
