from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sepbench.datasets.dsd100 import Dsd100
from sepbench.errors import SepbenchError

from .layouts import song, write_wavs


def write(root: Path, folder: str, name: str, seed: int) -> None:
    parts = song(seed=seed)
    write_wavs(root / "Mixtures" / folder / name, {"mixture": parts.pop("mixture")})
    write_wavs(root / "Sources" / folder / name, parts)


def test_dev_is_train_and_files_are_read_exactly(tmp_path: Path) -> None:
    write(tmp_path, "Dev", "051 - AM Contra - Heart Peripheral", 1)
    write(tmp_path, "Test", "005 - Angela Thomas Wade - Milk Cow Blues", 2)
    (train,) = Dsd100(tmp_path).tracks("train")
    (test,) = Dsd100(tmp_path).tracks("test")
    assert train.name == "051 - AM Contra - Heart Peripheral"
    assert train.part_of == ("dsd100", "dsd100/train")
    assert Dsd100(tmp_path).tracks("valid") == []
    audio = test.load()
    for name, samples in song(seed=2).items():
        assert np.array_equal({"mixture": audio.mixture, **audio.references}[name], samples)


def test_a_song_without_sources_says_so(tmp_path: Path) -> None:
    write_wavs(tmp_path / "Mixtures" / "Test" / "song", {"mixture": song()["mixture"]})
    (track,) = Dsd100(tmp_path).tracks()
    with pytest.raises(SepbenchError, match=r"^track song: no bass, drums, other, vocals: "):
        track.load()
