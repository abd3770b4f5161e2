"""Identifies the audio of tracks; one whose data set fails in this costs its own cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sepbench.datasets.base import Track
from sepbench.errors import SepbenchError, describe

if TYPE_CHECKING:
    from sepbench.datasets.base import TrackAudio

UNIDENTIFIED = "unidentified"
"""In place of the digest of audio that its data set cannot identify."""


def identified(track: Track, *, start: float, duration: float | None) -> tuple[Track, str]:
    """Return a track and the digest of its part.

    A track whose digest fails is returned as one that cannot be loaded, for the same reason.
    """
    try:
        return track, track.digest(start=start, duration=duration)
    except Exception as error:  # A plugin may raise anything.
        return unidentified(track, error)


def unidentified(track: Track, error: Exception) -> tuple[Track, str]:
    """Return a track that cannot be loaded, because of an error, and a text that is no digest."""
    reason = str(error) if isinstance(error, SepbenchError) else describe(error)
    named = track.name, track.subset, track.dataset, track.stems, track.part_of
    return _Unidentified(*named, f"track {track.name}, not identified: {reason}"), UNIDENTIFIED


@dataclass(frozen=True)
class _Unidentified(Track):
    """A track that cannot be loaded."""

    reason: str

    @property
    def rate(self) -> int:
        """Raise `SepbenchError` with the reason."""
        raise SepbenchError(self.reason)

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        """Raise `SepbenchError` with the reason."""
        raise SepbenchError(self.reason)

    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        """Return a text that is no digest."""
        return UNIDENTIFIED
