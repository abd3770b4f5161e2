from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sepbench.datasets.base import Track
from sepbench.datasets.files import FileDataset, FileTrack, Source, missing_stems
from sepbench.errors import SepbenchError

from .layouts import RATE, STEMS, song, write_wavs


def track(folder: Path, parts: object = None) -> FileTrack:
    write_wavs(folder, song() if parts is None else parts)  # type: ignore[arg-type]
    sources = {name: Source(folder / f"{name}.wav") for name in ("mixture", *STEMS)}
    return FileTrack("a song", "test", "mine", STEMS, (), sources=sources)


def test_files_come_back_exactly_and_spans_are_pieces(tmp_path: Path) -> None:
    parts = song(1.0)
    made = track(tmp_path, parts)
    audio = made.load()
    assert audio.rate == made.rate == RATE
    assert np.array_equal(audio.mixture, parts["mixture"])
    for name in STEMS:
        assert np.array_equal(audio.references[name], parts[name])
    span = made.load(start=0.5, duration=0.25)
    assert np.array_equal(span.references["bass"], parts["bass"][:, 22050 : 22050 + 11025])


def test_the_digest_follows_bytes_and_span_not_places(tmp_path: Path) -> None:
    here, there = track(tmp_path / "a"), track(tmp_path / "b")
    assert here.digest() == there.digest()
    assert len({here.digest(), here.digest(start=1), here.digest(duration=1)}) == 3
    before = here.digest()
    samples = song()["bass"]
    samples[1, 100] += 1 / 32768
    soundfile.write(tmp_path / "a" / "bass.wav", samples.T, RATE)
    assert here.digest() != before


def test_a_track_goes_to_another_process_and_back(tmp_path: Path) -> None:
    made: Track = track(tmp_path)
    again = pickle.loads(pickle.dumps(made))
    assert again.digest() == made.digest()
    assert np.array_equal(again.load().mixture, made.load().mixture)


def test_what_is_wrong_with_a_file_is_reported_only_on_loading(tmp_path: Path) -> None:
    made = track(tmp_path)
    (tmp_path / "drums.wav").unlink()
    assert made.digest()
    with pytest.raises(SepbenchError, match=r"drums\.wav: no such file"):
        made.load()


def test_a_stem_of_another_rate_is_an_error(tmp_path: Path) -> None:
    made = track(tmp_path)
    soundfile.write(tmp_path / "bass.wav", song()["bass"].T, 48000)
    with pytest.raises(SepbenchError, match=r"rates differ: mixture 44100 Hz, .*bass 48000 Hz"):
        made.load()


def test_what_reading_notes_reaches_the_track(tmp_path: Path) -> None:
    made = track(tmp_path)
    for name in ("mixture", *STEMS):
        path = tmp_path / f"{name}.wav"
        path.write_bytes(path.read_bytes()[:-400])
    notes = made.load().notes
    assert len(notes) == 5
    assert notes[0].startswith("mixture: cut short")


def test_a_song_that_lacks_a_stem_makes_no_other_data_set_of_its_folder(tmp_path: Path) -> None:
    class Pairs(FileDataset):
        name = "pairs"
        summary = license = how_to_get = "For tests."
        layout = ("*/*/mixture.wav",)

        def find_tracks(self, root: Path) -> Iterator[Track]:
            for place in root.glob("*/*"):
                sources = {name: Source(place / f"{name}.wav") for name in ("mixture", "vocals")}
                problem = missing_stems(sources)
                yield FileTrack(
                    place.name, place.parent.name, "pairs", ("vocals",), (),
                    sources=sources, problem=problem,
                )  # fmt: skip

    write_wavs(tmp_path / "train" / "a song", {"mixture": song()["mixture"]})
    (found,) = Pairs(tmp_path).tracks("train")  # The layout is that of musdb18-hq too.
    with pytest.raises(SepbenchError, match=r"vocals\.wav is missing"):
        found.load()
