"""One song has one name, whether its letters are composed (NFC) or decomposed (NFD, a Mac)."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from unicodedata import normalize

import pytest
from click.testing import CliRunner
from songs import white, write

from sepbench.cli.main import main
from sepbench.datasets.dsd100 import Dsd100
from sepbench.datasets.folder import Folder
from sepbench.datasets.selection import select
from sepbench.errors import SepbenchError
from sepbench.evaluation.museval_json import import_museval
from sepbench.evaluation.records import Record
from sepbench.evaluation.store import Settings, Store
from sepbench.training.data.discover import find_tracks

RATE = 8000
STEMS = ("vocals", "drums", "bass", "other")
LINUX, MAC = normalize("NFC", "Señor"), normalize("NFD", "Señor")
BOTH = "one with composed letters (NFC) and one with decomposed letters (NFD)"


def song(folder: str | Path, *, seed: int = 0) -> None:
    for index, stem in enumerate(STEMS):
        samples = white(2, RATE, seed=10 * seed + index, peak=0.2)
        write(Path(folder, f"{stem}.wav"), samples, RATE, subtype="FLOAT")


def told(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def rows(folder: str = "out") -> list[dict[str, str]]:
    with Path(folder, "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", [LINUX, MAC])
def test_a_track_has_the_composed_name_and_is_chosen_by_either(form: str) -> None:
    song(Path("songs", form))
    dataset = Folder(Path("songs"))
    assert [track.name for track in dataset.tracks()] == [LINUX]
    for pattern in (LINUX, MAC, f"{MAC[:4]}*", MAC.upper()):
        assert len(select(dataset, "test", [pattern])) == 1
    assert [track.name for track in find_tracks(Path("songs"))] == [LINUX]


def test_both_forms_in_one_folder_are_refused_by_name() -> None:
    song(Path("songs", LINUX))
    song(Path("songs", MAC), seed=1)
    with pytest.raises(SepbenchError, match=re.escape(BOTH)):
        Folder(Path("songs")).tracks()
    with pytest.raises(SepbenchError, match=re.escape(BOTH)):
        find_tracks(Path("songs"))
    assert BOTH in told("evaluate", "--dataset", "folder", "--root", "songs", "--all", code=2)


def test_songs_by_stem_are_refused_in_both_forms() -> None:
    for stem in STEMS:
        for form in (LINUX, MAC):
            write(Path("songs", stem, f"{form}.wav"), white(1, RATE, seed=1), RATE)
    with pytest.raises(SepbenchError, match=re.escape(BOTH)):
        find_tracks(Path("songs"))


def test_mixtures_and_sources_of_dsd100_may_be_written_in_two_forms() -> None:
    song(Path("root/Sources/Test", MAC))
    write(Path("root/Mixtures/Test", LINUX, "mixture.wav"), white(2, RATE, seed=5), RATE)
    (track,) = Dsd100(Path("root")).tracks()
    assert track.load().references.keys() >= set(STEMS)


@pytest.mark.slow
def test_estimates_in_both_forms_are_refused_and_either_one_is_found() -> None:
    song(Path("songs", MAC))
    song(Path("est", LINUX))
    told("score", "est", "--references", "songs", "-o", "out")
    assert {row["track"] for row in rows()} == {LINUX}
    song(Path("est", MAC), seed=1)
    assert BOTH in told("score", "est", "--references", "songs", "-o", "out", code=1)
    flat = Path("flat")
    for form in (LINUX, MAC):
        write(flat / f"{form}_vocals.wav", white(2, RATE, seed=1), RATE)
    error = told("score", "flat", "--references", "songs", "-o", "out", code=1)
    assert "are both vocals" in error


@pytest.mark.slow
def test_a_run_goes_on_where_the_song_was_copied_from_a_mac() -> None:
    song(Path("songs", MAC))
    words = ["evaluate", "--dataset", "folder", "--root", "songs", "-m", "oracle-irm", "-o", "out"]
    told(*words)
    (kept,) = Path("out/scores").rglob("*.json")
    before = kept.stat().st_mtime_ns
    Path("songs", MAC).rename(Path("songs", LINUX))
    told(*words)
    assert [path.stat().st_mtime_ns for path in Path("out/scores").rglob("*.json")] == [before]
    assert {row["track"] for row in rows()} == {LINUX}


def test_records_of_a_mac_are_those_of_the_song_and_give_way_to_new_ones() -> None:
    store = Store.create(Path("out"), Settings("folder", "test"))
    facts = {"options": {}, "fingerprint": "", "identity": {}, "error": "none"}
    store.save(Record("folder", "test", MAC, "m", "m", **facts))  # type: ignore[arg-type]
    (new,) = Path("out/failures").rglob("*.json")
    old = new.with_name(f"{MAC}.json")
    new.rename(old)
    (record,), unread = store.contents()
    assert (record.track, unread) == (LINUX, [])
    store.save(record)
    assert old.exists()
    assert len(store.records()) == 1


def test_two_files_of_one_track_are_not_imported_as_one() -> None:
    frames = [{"metrics": {"SDR": 1.0, "SIR": 1.0, "SAR": 1.0, "ISR": 1.0}}]
    content = {"targets": [{"name": "vocals", "frames": frames}]}
    files = [Path(f"{form}.json") for form in (LINUX, MAC)]
    for file in files:
        file.write_text(json.dumps(content), encoding="utf-8")
    store = Store.create(Path("out"), Settings("folder", "test"))
    with pytest.raises(SepbenchError, match="are of one track of theirs"):
        list(import_museval({"theirs": files}, store))
