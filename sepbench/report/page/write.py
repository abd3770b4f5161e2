"""Writes the page: one HTML file, and audio files that it loads on request."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from itertools import repeat
from pathlib import Path
from typing import Any

from sepbench._util.files import write_atomic
from sepbench._util.text import counted
from sepbench.datasets.base import Track
from sepbench.evaluation.records import Record, of_sound
from sepbench.evaluation.store import Store
from sepbench.report import formats
from sepbench.report.build import Report
from sepbench.report.grid import grid
from sepbench.report.joining import separated
from sepbench.report.page.clips import Clip, clips, has_sound, write_source
from sepbench.report.page.excerpts import Excerpt, choose
from sepbench.report.page.facts import facts

SCRIPTS = ("page.js", "charts.js", "player.js", "listen.js", "judge.js")


@dataclass(frozen=True)
class Page:
    """The path and the size of the page, and remarks on missing parts."""

    path: Path
    size: int
    remarks: list[str]


def write_page(
    store: Store,
    report: Report,
    *,
    protocol: str,
    tracks: Sequence[Track] = (),
    excerpts: Sequence[Excerpt] = (),
    command: str = "",
    on_clip: Callable[[str], None] = lambda name: None,
) -> Page:
    """Write ``page/index.html`` of a run, with the clips of ``excerpts`` of ``tracks``."""
    folder = store.folder / "page"
    shutil.rmtree(folder / "audio", ignore_errors=True)  # Clips of an older page do not match.
    records = store.records()
    listen, remarks = _write_sounds(folder, store, records, tracks, excerpts, on_clip)
    known = facts(separated(records)[0], store.settings, report.scores, report.summary)
    known |= {
        "listen": listen,
        "protocol": protocol,
        "command": command,
        "place": _place(store.folder),
    }
    table = formats.as_html(grid(report.scores, report.summary, protocol))
    text = _render(known, table)
    path = folder / "index.html"
    write_atomic(path, text)
    return Page(path, len(text.encode()), remarks)


def missing_stems(
    store: Store, records: Sequence[Record], chosen: Sequence[Excerpt]
) -> list[Record]:
    """Return the records of chosen tracks whose stems are not there."""
    wanted = {excerpt.song for excerpt in chosen}
    return [
        record
        for record in records
        if record.song in wanted and record.error is None and not has_sound(store, record)
    ]


def kept_excerpts(store: Store, records: Sequence[Record], tracks: int) -> list[Excerpt]:
    """Return excerpts of tracks whose stems exist, of a limited number of tracks."""
    return choose([record for record in records if has_sound(store, record)], tracks)


def _write_sounds(
    folder: Path,
    store: Store,
    records: Sequence[Record],
    tracks: Sequence[Track],
    excerpts: Sequence[Excerpt],
    on_clip: Callable[[str], None],
) -> tuple[list[dict[str, Any]], list[str]]:
    by_key = {track.song: track for track in tracks}
    listed: list[dict[str, Any]] = []
    remarks: list[str] = []
    for key in dict.fromkeys(excerpt.song for excerpt in excerpts):
        if key not in by_key:
            remarks.append(f"{key[1]}: the data set has no such track here, so it has no audio")
            continue
        of_track = [one for one in excerpts if one.song == key]
        made = {one.label: of_sound(one.identity) for one in records if one.song == key}
        for clip in clips(store, records, by_key[key], of_track, remarks.append):
            on_clip(f"{clip.excerpt.track}, {clip.excerpt.stem}")
            listed.append(_write_clip(folder, clip, len(listed), made))
    return listed, remarks


def _place(run: Path) -> str:
    """Return a digest of a run's folder, by which pages of two runs of one title differ."""
    return hashlib.sha256(str(run.resolve()).encode(errors="surrogatepass")).hexdigest()[:16]


def _write_clip(folder: Path, clip: Clip, number: int, made: Mapping[str, str]) -> dict[str, Any]:
    # Numbers instead of names, so that names cannot affect paths and addresses.
    keys = [f"{number}-{index}" for index in range(len(clip.sources))]
    paths = [folder / "audio" / f"{key}.js" for key in keys]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # A list, so that what goes wrong in a thread is raised here.
        list(pool.map(write_source, paths, keys, clip.sources, repeat(clip)))
    sources = [
        {
            "key": key,
            "name": source.name,
            "kind": source.kind,
            "made": made[source.name] if source.kind in ("method", "oracle") else None,
            "gain": round(source.gain, 2),
            "loudness": round(source.loudness, 2) if source.loudness > -200 else None,
        }
        for key, source in zip(keys, clip.sources, strict=True)
    ]
    excerpt = clip.excerpt
    # Without their names: they are shown in blind ratings too.
    quieter = f"; too quiet to be made as loud: {counted(clip.quieter, 'source')}"
    return {
        "track": excerpt.track,
        "subset": excerpt.subset,
        "stem": excerpt.stem,
        "start": excerpt.start,
        "seconds": round(clip.sources[0].samples.shape[1] / clip.rate, 3),
        "rate": clip.rate,
        "why": excerpt.reason + (quieter if clip.quieter else ""),
        "sources": sources,
    }


def _render(known: dict[str, Any], table: str) -> str:
    import jinja2
    import plotly.offline

    texts = {name: _asset(name) for name in ("page.css", *SCRIPTS)}
    charts = plotly.offline.get_plotlyjs()
    script = "\n".join(texts[name] for name in SCRIPTS)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_asset("index.html.j2"))
    return template.render(
        title=known["title"],
        version=known["version"],
        style=texts["page.css"],
        policy=_policy([charts, script]),
        data=_inert(known),
        table=table,
        plotly=charts,
        script=script,
        listen=bool(known["listen"]),
    )


def _policy(scripts: Sequence[str]) -> str:
    """Return a Content-Security-Policy that runs these scripts and those beside the page alone."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed} 'self' file:; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _inert(value: Any) -> str:
    """Return JSON that is safe inside HTML, with any names."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    folder = resources.files("sepbench.report.page") / "assets"
    return (folder / name).read_text(encoding="utf-8")
