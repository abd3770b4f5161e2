from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from sepbench.datasets import open_dataset
from sepbench.datasets.excerpt import Excerpt
from sepbench.errors import SepbenchError


def test_it_is_six_seconds_of_a_test_song_of_musdb18() -> None:
    (track,) = Excerpt().tracks()
    audio = track.load()
    assert track.name == "The Easton Ellises - Falcon 69"
    assert track.subset == "test"
    assert "musdb18/test" in track.part_of
    assert track.rate == audio.rate == 44100
    assert audio.mixture.shape == (2, 6 * 44100)
    assert set(track.stems) == {"vocals", "drums", "bass", "other"}
    assert set(audio.references) == {*track.stems, "accompaniment", "harmonic", "percussive"}
    assert not Excerpt().tracks("train")


def test_the_stems_add_up_to_the_mixture_but_for_the_codec() -> None:
    audio = Excerpt().tracks()[0].load()
    rest = audio.mixture - audio.references["vocals"] - audio.references["accompaniment"]
    ratio = 10 * np.log10(np.square(rest).sum() / np.square(audio.mixture).sum())
    assert ratio < -20


@pytest.mark.slow
def test_references_are_those_of_musdb(museval: ModuleType) -> None:
    import musdb
    import stempeg

    theirs = musdb.audio_classes.MultiTrack(
        path=stempeg.example_stem_path(), name="a - b", stem_id=0, chunk_duration=6.0
    )
    audio = Excerpt().tracks()[0].load()
    names = ("drums", "bass", "other", "vocals")
    ours = [audio.mixture, *(audio.references[name] for name in names)]
    assert np.abs(np.stack(ours) - theirs.stems.transpose(0, 2, 1)).max() <= 1 / 32768


def test_a_span_stays_within_the_six_seconds() -> None:
    (track,) = Excerpt().tracks()
    assert track.load(start=5.5, duration=3).mixture.shape == (2, 22050)
    assert track.load(start=1, duration=0.5).mixture.shape == (2, 22050)
    with pytest.raises(SepbenchError, match=r"cannot start at 6 s; it is 6 s long"):
        track.load(start=6)


def test_a_root_is_refused() -> None:
    with pytest.raises(SepbenchError, match="data set excerpt is built in; leave --root out"):
        open_dataset("excerpt", Excerpt().find_root())
