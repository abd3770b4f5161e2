"""Facts on MUSDB18 from the files of the package ``musdb``, without importing it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sepbench.errors import SepbenchError


@dataclass(frozen=True)
class MusdbFacts:
    """Stream of each stem in a STEMS file, names of validation tracks, address of the sample."""

    streams: dict[str, int]
    validation_tracks: frozenset[str]
    sample_url: str


@cache
def musdb_facts() -> MusdbFacts:
    """Read the configuration of the installed ``musdb``, whose import needs the ffmpeg program."""
    spec = find_spec("musdb")
    if spec is None or not spec.submodule_search_locations:
        raise SepbenchError("the package musdb is not installed; pip install musdb")
    import yaml

    path = Path(spec.submodule_search_locations[0]) / "configs" / "mus.yaml"
    setup = yaml.safe_load(path.read_text(encoding="utf-8"))
    streams = sorted(setup["stem_ids"].items(), key=lambda item: item[1])
    return MusdbFacts(dict(streams), frozenset(setup["validation_tracks"]), setup["sample-url"])
