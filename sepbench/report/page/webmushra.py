"""Exports a listening test for webMUSHRA."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sepbench._util.files import write_atomic
from sepbench.audio import Writer
from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError
from sepbench.evaluation.store import Store
from sepbench.report.page.clips import Clip, Source, clips
from sepbench.report.page.write import kept_excerpts
from sepbench.report.webmushra_results import earlier_methods, keep_names

SOUNDS = "configs/resources/sepbench"

_SPOILED = re.compile(r"""[&<>"'+%\\]+""")
"""What webMUSHRA's pages, and the form in which it sends ratings unencoded, would change."""

MOST_METHODS = 12
"""webMUSHRA refuses trials of more methods, as BS.1534 does, unless they are not ``strict``."""


def write_webmushra(
    store: Store,
    tracks: Sequence[Track],
    folder: Path,
    *,
    songs: int,
    on_clip: Callable[[str], None] = lambda name: None,
    on_note: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write ``configs/sepbench.yaml`` and equally loud wav files to a webMUSHRA folder.

    Copied into an installation of webMUSHRA, it opens as ``?config=sepbench.yaml``. webMUSHRA adds
    the hidden reference and the anchors. ``on_note`` is called with what is left out. Raises
    `SepbenchError` if the run has kept no stems.
    """
    records = store.records()
    excerpts = kept_excerpts(store, records, songs)
    by_key = {track.song: track for track in tracks}
    pages, files = list[dict[str, Any]](), list[Path]()
    names: dict[str, dict[str, Any]] = {}
    keys = [key for key in dict.fromkeys(e.song for e in excerpts) if key in by_key]
    songs_of = Counter(track for _, track in keys)
    for key in keys:
        of_track = [one for one in excerpts if one.song == key]
        for clip in clips(store, records, by_key[key], of_track, on_note):
            if not any(source.kind == "method" for source in clip.sources):
                continue
            on_clip(f"{clip.excerpt.track}, {clip.excerpt.stem}")
            subset, track = key
            song = track if songs_of[track] == 1 else f"{track} ({subset})"
            title = f"{clip.excerpt.stem}: {song}"
            trial = f"trial {len(pages) + 1}, {_plain(title)}"
            facts = {"track": track, "subset": subset, "stem": clip.excerpt.stem}
            earlier = earlier_methods(store.folder, trial, facts)
            page, methods, written = _trial(clip, len(pages), folder, earlier)
            names[trial] = {**facts, "methods": methods}
            pages.append({"type": "mushra", "id": trial, "name": html.escape(title), **page})
            files += written
    if not pages:
        raise SepbenchError(
            f"{store.folder}: no kept stems to export; 'sepbench report {store.folder} "
            "--page --listen 5' separates some"
        )
    config = folder / "configs" / "sepbench.yaml"
    write_atomic(config, _as_yaml(_test(store), pages))
    keep_names(store.folder, names)
    _remove_earlier(folder / SOUNDS, files)
    return [config, *files]


def _remove_earlier(folder: Path, kept: Collection[Path]) -> None:
    """Remove the sounds of an earlier export that this one lacks."""
    for path in folder.glob("*.wav"):
        if path not in kept and re.fullmatch(r"\d+-\d+", path.stem):
            path.unlink()


def _trial(
    clip: Clip, number: int, folder: Path, earlier: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str], list[Path]]:
    """Write the sounds of a trial; return it, the labels of its stimuli, and the files.

    A method keeps the name of its stimulus in ``earlier`` exports, and no other gets that.
    """
    given = {label: plain for plain, label in earlier.items()}
    names: dict[str, str] = {}
    labels: dict[str, str] = {}
    files = []
    for index, source in enumerate(clip.sources):
        if source.kind in ("reference", "method"):
            name = f"{SOUNDS}/{number}-{index}.wav"
            files.append(_write(source, folder / name, clip.rate))
            plain = ""
            if source.kind == "method":
                plain = given.get(source.name) or _plain(source.name, {*names, *earlier})
            names[plain] = name
            labels |= {plain: source.name} if plain else {}
    page = {
        "content": "How well is the stem separated? The reference would be 100.",
        "showWaveform": True,
        "enableLooping": True,
        "createAnchor35": True,
        "createAnchor70": False,
        "randomize": True,
        "strict": len(names) - 1 <= MOST_METHODS,
        "reference": names.pop(""),
        "stimuli": names,
    }
    return page, labels, files


def _plain(name: str, taken: Collection[str] = ()) -> str:
    """Return a name that comes back in the table of ratings as it is, and is not yet taken.

    >>> _plain("ensemble[unet+cdae]"), _plain("a&b", ["a b"])
    ('ensemble[unet cdae]', 'a b (2)')
    """
    plain = _SPOILED.sub(" ", name)
    others = (f"{plain} ({number})" for number in range(2, len(taken) + 3))
    return next(one for one in (plain, *others) if one not in taken)


def _write(source: Source, path: Path, rate: int) -> Path:
    with Writer(path, rate, source.samples.shape[0], bit_depth="16") as file:
        file.write(source.samples * np.float32(10 ** (source.gain / 20)))
    return path


def _test(store: Store) -> dict[str, Any]:
    return {
        "testname": f"sepbench {store.settings.default_name}",
        "testId": "sepbench",
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": True,
        "remoteService": "service/write.php",
    }


_BEGIN = {
    "type": "generic",
    "id": "begin",
    "name": "Listening test",
    "content": "Please use headphones in a quiet room.",
}
_FINISH = {
    "type": "finish",
    "name": "Thank you",
    "content": "Your ratings are sent when you press the button.",
    "showResults": True,
    "writeResults": True,
}


def _as_yaml(test: dict[str, Any], trials: Sequence[dict[str, Any]]) -> str:
    """Return a test in the part of YAML that webMUSHRA's parser (yaml.js) reads.

    It cannot read lists that begin in the line of another's dash, nor keys of several lines. PyYAML
    writes both.
    """
    lines = [f"{key}: {_flow(value)}" for key, value in test.items()]
    lines += ["pages:", f"  - {_flow(_BEGIN)}", "  -", "    - random"]
    lines += [f"    - {_flow(trial)}" for trial in trials]
    return "\n".join([*lines, f"  - {_flow(_FINISH)}", ""])


def _flow(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
