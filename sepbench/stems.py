"""Names of stems, their spellings in file names, and stems that are sums of others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

STEMS = (
    "vocals",
    "drums",
    "bass",
    "other",
    "accompaniment",
    "harmonic",
    "percussive",
    "residual",
)
"""The known stems, in the order of tables and plots.

A method may declare any other lower-case name too. ``residual`` is what a method could not assign;
it has no reference and is not scored.
"""

MIXTURE = "mixture"
"""The name of the mixture where files are named by stem."""

SUMS = {
    "accompaniment": ("drums", "bass", "other"),
    "harmonic": ("bass", "other"),
    "percussive": ("drums",),
}
"""Stems that are sums of others, with their terms."""

_ACCOMPANIMENT_BESIDE_VOCALS = ("percussive", "harmonic")
"""The terms of ``accompaniment`` beside vocals; without vocals, these stems contain the voice."""

TARGET_SETS = (
    ("vocals", "drums", "bass", "other"),
    ("vocals", "accompaniment"),
    ("harmonic", "percussive"),
)
"""The sets of stems scored together; a window that is silent in one of them is not used."""

_FILE_NAMES = {
    "vocals": "vocals vocal voice voices vox singing singer acapella acappella a_cappella",
    "drums": "drums drum",
    "bass": "bass",
    "other": "other others",
    "accompaniment": (
        "accompaniment instrumental instrumentals karaoke backing backing_track no_vocals "
        "no_vocal no_voice minus_one"
    ),
    "harmonic": "harmonic",
    "percussive": "percussive",
    "percussion": "percussion",
    "guitar": "guitar guitars",
    "piano": "piano",
    "keys": "keys keyboard keyboards",
    "strings": "strings",
    "wind": "wind winds",
    MIXTURE: "mixture mix",
}
"""The spellings of each stem in files, folders and other programs."""

_BY_FILE_NAME = {word: stem for stem, words in _FILE_NAMES.items() for word in words.split()}

_NEGATIONS = ("no", "non", "not", "minus", "without")
"""Words before the name of a stem that make it the rest of the song."""

# So that "no_vocals" is not read as "vocals".
_LONGEST_FIRST = sorted(_BY_FILE_NAME, key=len, reverse=True)
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


class _Addable(Protocol):
    def __add__(self, other: Any, /) -> Any: ...


A = TypeVar("A", bound=_Addable)


def is_stem_name(name: str) -> bool:
    """Return whether ``name`` can be a stem: lower-case letters, digits and single ``_`` or ``-``.

    >>> is_stem_name("lead_guitar"), is_stem_name("Lead Guitar"), is_stem_name("mixture")
    (True, False, False)
    """
    return bool(_NAME.fullmatch(name)) and name != MIXTURE


def in_order(names: Iterable[str]) -> list[str]:
    """Return stems each once, those of `STEMS` first and in its order, the others by alphabet.

    >>> in_order(["piano", "drums", "guitar", "vocals"])
    ['vocals', 'drums', 'guitar', 'piano']
    """
    return sorted(
        set(names), key=lambda name: (STEMS.index(name) if name in STEMS else len(STEMS), name)
    )


def stem_of(file: str | Path, *, whole: bool = False) -> str | None:
    """Return the stem named by a file, folder or column, or None if unknown.

    The name may begin with other words, such as the title of the song, unless it must match as a
    ``whole``. Case, spaces, brackets and the suffix do not matter. The mixture is `MIXTURE`.

    >>> stem_of("vox.wav"), stem_of("My song (No Vocals).flac"), stem_of("mix.mp3")
    ('vocals', 'accompaniment', 'mixture')
    >>> stem_of("cover.wav"), stem_of("no_drums.wav"), stem_of("Song minus vocals.wav")
    (None, None, 'accompaniment')
    """
    path = Path(file)
    # A folder or column has no suffix, so what follows its last dot may be the stem.
    for name in (path.stem, path.name):
        words = "_".join(re.findall(r"[^\W_]+", name.lower()))
        for known in _LONGEST_FIRST:
            if words == known:
                return _BY_FILE_NAME[known]
            if words.endswith(f"_{known}") and not whole:
                stem = _BY_FILE_NAME[known]
                is_rest = words.removesuffix(f"_{known}").split("_")[-1] in _NEGATIONS
                return ("accompaniment" if stem == "vocals" else None) if is_rest else stem
    return None


def with_sums(stems: Mapping[str, A]) -> dict[str, A]:
    """Add every missing stem of `SUMS` whose terms are all present.

    With ``vocals``, ``percussive`` and ``harmonic`` also sum to the ``accompaniment``. If there are
    stems that are not in `STEMS`, such as ``guitar``, the only sum is the ``accompaniment``: all
    stems but the ``vocals``. Works on numpy arrays and torch tensors; terms are added in a fixed
    order, so the result does not depend on the order of ``stems``.

    >>> with_sums({"drums": 1.0, "bass": 2.0, "other": 4.0})["accompaniment"]
    7.0
    >>> with_sums({"vocals": 1.0, "percussive": 2.0, "harmonic": 4.0})["accompaniment"]
    6.0
    >>> with_sums({"vocals": 1.0, "drums": 2.0, "other": 4.0, "guitar": 8.0})["accompaniment"]
    14.0
    """
    complete = dict(stems)
    for name, terms in _sums(stems):
        if name not in complete and terms and all(term in stems for term in terms):
            total = stems[terms[0]]
            for term in terms[1:]:
                total = total + stems[term]
            complete[name] = total
    return complete


def _sums(stems: Iterable[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the possible sums of ``stems``, each with its terms."""
    names = in_order(stems)
    # Such stems are parts of a sum that is there already.
    is_summed = not {"harmonic", "percussive"}.isdisjoint(names)
    if any(name not in STEMS for name in names) and not is_summed:
        rest = [name for name in names if name not in SUMS and name not in ("vocals", "residual")]
        return [("accompaniment", tuple(rest))] if "vocals" in names else []
    sums = [*SUMS.items()]
    if "vocals" in names:
        sums.append(("accompaniment", _ACCOMPANIMENT_BESIDE_VOCALS))
    return sums


def disjoint(stems: Iterable[str]) -> list[str]:
    """Return stems that do not contain each other, so that their sum counts nothing twice.

    Stems outside `STEMS`, such as ``guitar``, are parts of the ``accompaniment`` and of the
    ``harmonic`` part.

    >>> disjoint(("vocals", "accompaniment", "drums", "guitar"))
    ['vocals', 'accompaniment']
    """
    names = list(stems)
    terms = {name: set(SUMS.get(name, (name,))) for name in names}
    sums = {"accompaniment", "harmonic"}.intersection(names)

    def is_within(name: str, other: str) -> bool:
        if other in sums and name not in STEMS:
            return True
        if terms[name] == terms[other]:
            return name in SUMS and other not in SUMS
        return terms[name] < terms[other]

    return [name for name in names if not any(is_within(name, other) for other in names)]


def rest_of(stem: str) -> str:
    """Return the name of what remains of a song without one of its stems.

    >>> rest_of("vocals"), rest_of("accompaniment"), rest_of("drums")
    ('accompaniment', 'vocals', 'no_drums')
    """
    return {"vocals": "accompaniment", "accompaniment": "vocals"}.get(stem, f"no_{stem}")


def merge_into_other(stems: Mapping[str, A], names: Iterable[str]) -> dict[str, A]:
    """Add to ``other`` the stems that are in neither `STEMS` nor ``names``.

    The ``other`` of a separator that makes ``guitar`` and ``piano`` contains neither; to score it
    against a reference that contains both, all three are added first.

    >>> merge_into_other({"other": 1.0, "guitar": 2.0, "piano": 4.0}, ["other", "piano"])
    {'other': 3.0, 'piano': 4.0}
    """
    kept = set(names)
    merged = {name: stem for name, stem in stems.items() if name in STEMS or name in kept}
    for name in in_order(stems):
        if name not in merged and "other" in kept:
            merged["other"] = merged["other"] + stems[name] if "other" in merged else stems[name]
    return merged
