"""Scores of tracks that a data set no longer has under their name: renamed, or gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sepbench._util.text import listed
from sepbench.datasets.base import Track
from sepbench.evaluation.identified import UNIDENTIFIED, identified
from sepbench.evaluation.store import Store


def forget_renamed(store: Store, tracks: Sequence[Track]) -> list[str]:
    """Remove scores and stems of tracks that have another name now; return a line for each.

    ``tracks`` are all tracks of the run's data set, whether they are run now or not. A track
    that was renamed would count twice, under both names. Scores of tracks that were removed from
    the data set are kept.
    """
    names = {track.song for track in tracks}
    subsets = {track.subset for track in tracks}
    old = [
        record
        for record in store.elsewhere(names)
        if record.subset in subsets and "audio" in record.identity
    ]
    if not old:
        return []
    settings = store.settings
    found = (identified(one, start=settings.start, duration=settings.duration) for one in tracks)
    now = {digest: track for track, digest in found if digest != UNIDENTIFIED}
    notes: dict[str, None] = {}
    gone: dict[str, None] = {}
    for record in old:
        track = now.get(str(record.identity["audio"]))
        if track is None:
            gone[record.track] = None
            continue
        store.remove(record)
        notes[f"{record.track} is now called {track.name}: removed its scores of before"] = None
    if gone:
        notes[_note_of_missing(gone, store)] = None
    return list(notes)


def _note_of_missing(names: Iterable[str], store: Store) -> str:
    return (
        f"{listed(names, most=1)}: no longer in the data set, but still in the tables; "
        f"delete the scores below {store.folder}, or choose another --out"
    )
