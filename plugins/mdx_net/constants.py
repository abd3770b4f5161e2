"""Constants of the networks of Ultimate Vocal Remover."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sepbench.errors import SepbenchError
from sepbench.weights.card import read_mapping

from ..onnx.card import Card, Port, Transform, check

if TYPE_CHECKING:
    from . import MdxNet

_HASHED = 10_000 * 1024
"""UVR identifies a file by the md5 of its last bytes, of this number."""

_HOP = 1024
_SILENT_BINS = 3


@dataclass(frozen=True)
class Constants:
    """The constants of a network."""

    model: str
    stem: str
    n_fft: int
    bins: int
    frames: int
    compensate: float

    def card(self, overlap: float) -> Card:
        """Return the network as one of ONNX, with UVR's chunks.

        Without overlap half a window at both ends of each chunk is discarded, as in older versions
        of UVR; with it, chunks have a Hann window and the positions of newer ones.
        """
        card = Card(
            model=self.model,
            stems=(self.stem,),
            chunk=self.frames,
            input=Port("complex", "b(cr)ft"),
            output=Port("complex", "b(cr)ft"),
            stft=Transform(self.n_fft, _HOP, bins=self.bins, silent_bins=_SILENT_BINS),
            overlap=overlap,
            trim=0 if overlap else self.n_fft // 2,
            lead=self.n_fft // 2,
            window="hann" if overlap else "flat",
        )
        check(card, self.model)
        return card


def find(options: MdxNet.Options) -> Constants:
    """Return the constants of a file: the given ones, else the known ones.

    Raises `SepbenchError` for a missing file, and for an unknown one unless all constants are
    given.
    """
    path = Path(options.file)
    if not path.is_file():
        raise SepbenchError(f"{path}: no such network; give the path of a file NAME.onnx")
    given = {
        "stem": options.stem,
        "n_fft": options.n_fft,
        "bins": options.bins,
        "frames": options.frames,
        "compensate": options.compensate,
    }
    table = read_mapping(files(__package__) / "models.yaml", "models of mdx-net")
    key = uvr_digest(path)
    known = dict(zip(given, table.get(key, []), strict=False))
    chosen = {name: value or known.get(name) for name, value in given.items()}
    missing = [name for name, value in chosen.items() if not value]
    if missing:
        raise SepbenchError(
            f"{path}: not a known network, by its digest ({key}); "
            f"give {', '.join(f'{name}=VALUE' for name in missing)}"
        )
    return Constants(str(path.absolute()), **chosen)  # type: ignore[arg-type]


def uvr_digest(path: Path) -> str:
    """Return the md5 by which UVR identifies a file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _HASHED))
        return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
