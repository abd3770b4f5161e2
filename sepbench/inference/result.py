"""The result of separating a song: files, times and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sepbench._util.files import from_here
from sepbench._util.text import three_digits
from sepbench.inference import manifest

_BEFORE: dict[manifest.Origin, str] = {
    "same": "kept {}, made earlier from this song with these settings",
    "unknown": "kept {}, of unknown origin; --overwrite makes them again",
    "other": "{} was made from another song or with other settings",
}


@dataclass(frozen=True)
class Result:
    """The result of one song and method.

    ``origins`` are those of files that already existed; they are kept unless they are of ``other``
    songs or settings.
    """

    song: Path
    method: str
    files: dict[str, Path]
    origins: dict[Path, manifest.Origin]
    seconds: float = 0.0
    audio_seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def kept(self) -> list[Path]:
        """The files that were kept."""
        return [path for path, origin in self.origins.items() if origin != "other"]

    def as_dict(self) -> dict[str, Any]:
        """Return the same, ready for JSON."""
        return {
            "song": str(self.song),
            "method": self.method,
            "files": {name: str(path) for name, path in self.files.items()},
            "kept": [str(path) for path in self.kept],
            "renewed": [str(path) for path in self.origins if path not in self.kept],
            "seconds": self.seconds,
            "audio_seconds": self.audio_seconds,
            "warnings": list(self.warnings),
        }

    def line(self) -> str:
        """Return one line for the user."""
        folder = from_here(next(iter(self.files.values())).parent)
        made = " ".join(path.name for path in self.files.values() if path not in self.kept)
        parts = []
        if made:
            speed = self.audio_seconds / self.seconds
            parts.append(f"{made} ({self.seconds:.1f} s, {three_digits(speed)} times real time)")
        for origin, words in _BEFORE.items():
            names = " ".join(path.name for path, is_ in self.origins.items() if is_ == origin)
            if names:
                parts.append(words.format(names))
        return f"{folder}: {'; '.join(parts)}"
