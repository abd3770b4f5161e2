"""Stems that others separated: delays, names, and what a second call of one name does."""

from __future__ import annotations

import csv
import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from songs import Samples, white, write

from sepbench.cli.main import main
from sepbench.datasets.files import FileTrack
from sepbench.evaluation.delay import delay, delays, remarks
from sepbench.evaluation.estimate_files import find
from sepbench.evaluation.store import unique_name
from sepbench.evaluation.suspicions import suspicions

RATE = 8000
STEMS = ("vocals", "drums", "bass", "other")


def noise(seed: int) -> Samples:
    return white(2, 2 * RATE, seed=seed, peak=0.2)


def song(folder: Path, seed: int, *, error: float = 0.0, shift: int = 0) -> None:
    for index, stem in enumerate(STEMS):
        wrong = noise(10 * seed + index) + error * noise(1000 + index)
        write(folder / f"{stem}.wav", np.roll(wrong, shift, axis=1), RATE, subtype="FLOAT")


def score(*words: str) -> str:
    result = CliRunner().invoke(main, ["score", *words, "-o", "out", "--name", "m"])
    assert result.exit_code == 0, result.output
    return result.output


def mean_sdr() -> float:
    with Path("out/summary.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["protocol"] == "mdx"]
    return float(np.mean([float(row["value"]) for row in rows]))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_a_constant_delay_is_found_reported_and_removed() -> None:
    song(Path("songs/a"), 1)
    song(Path("late/a"), 1, error=0.1, shift=105)
    assert "the estimates are 105 samples late" in score("late", "--references", "songs")
    assert mean_sdr() < 0
    assert "were 105 samples late; aligned" in score("late", "--references", "songs", "--align")
    assert mean_sdr() == pytest.approx(18.5, abs=2)


def test_files_are_of_one_track_alone() -> None:
    """Track 'a' has no files of 'a_b', and one folder is not scored for two tracks."""
    for number, name in enumerate(["a", "a_b"]):
        song(Path("flat"), number + 1)
        for stem in STEMS:
            Path(f"flat/{stem}.wav").rename(f"flat/{name}_{stem}.wav")
    tracks = [FileTrack(name, "test", "folder", STEMS, ()) for name in ("a", "a_b")]
    for one in find(Path("flat"), tracks):
        assert one.files == {stem: Path(f"flat/{one.track.name}_{stem}.wav") for stem in STEMS}

    song(Path("folders/x_y"), 1)
    alike = [FileTrack(name, "test", "folder", STEMS, ()) for name in ("x:y", "x?y")]
    for one in find(Path("folders"), alike):
        assert "could be of track 'x:y' or 'x?y'" in str(one.problem)
    song(Path("folders/train/x_y"), 3)  # That of a track of the same name in another subset.
    alone = FileTrack("x:y", "train", "folder", STEMS, ())
    assert [one.problem is None for one in find(Path("folders"), [*alike, alone])] == [0, 0, 1]
    own = Path("folders") / unique_name("x?y")
    song(own, 2)
    found = find(Path("folders"), alike)
    assert [one.files["bass"].parent for one in found] == [Path("folders/x_y"), own]
    assert [one.problem for one in found] == [None, None]


@pytest.mark.slow
def test_two_files_of_one_stem_cost_their_track_alone() -> None:
    for name in "abc":
        song(Path("songs", name), ord(name))
        song(Path("made", name), ord(name), error=0.1)
    words = ["score", "made", "--references", "songs", "-o", "out", "--name", "m"]
    assert CliRunner().invoke(main, words).exit_code == 0
    # Not even the scores of before stand, as they are of one of the two files.
    shutil.copy("made/b/vocals.wav", "made/b/voice.wav")
    Path("made/c/bass.wav").write_bytes(b"")
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    told = "made/b: vocals.wav and voice.wav are both vocals; keep one of them"
    assert f"error: b: {told}" in result.output.splitlines()
    with Path("out/scores.csv").open(newline="") as file:
        rows = [(row["track"], row["error"], row["value"]) for row in csv.DictReader(file)]
    assert {track for track, error, value in rows if value} == {"a"}
    assert {error for track, error, value in rows if track == "b"} == {told}
    assert {track for track, error, value in rows if "bass.wav" in error} == {"c"}


def test_no_delay_is_seen_where_stems_disagree_or_nothing_correlates() -> None:
    truth = {stem: noise(i) for i, stem in enumerate(STEMS)}
    assert delay(truth, truth) == 0
    assert delay({"vocals": noise(99)}, truth) == 0
    shifted = {"vocals": np.roll(truth["vocals"], 5, 1), "drums": np.roll(truth["drums"], 9, 1)}
    assert delay(shifted, truth) == 0
    assert delay({"vocals": np.roll(truth["vocals"], -7, 1)}, truth) == -7


@pytest.mark.parametrize("count", [0, 1, 2, 1000, 5000])
def test_songs_shorter_than_the_longest_delay_are_searched_too(count: int) -> None:
    truth = {stem: noise(i)[:, :count] for i, stem in enumerate(STEMS)}
    assert delay(truth, truth) == 0
    late = {stem: np.roll(samples, 5, 1) for stem, samples in truth.items()}
    assert delay(late, truth) == (5 if count > 999 else 0)


@pytest.mark.slow
def test_a_stem_that_alone_is_late_is_named() -> None:
    truth = {stem: noise(i) for i, stem in enumerate(STEMS)}
    found = delays({**truth, "bass": np.roll(truth["bass"], 105, 1)}, truth)
    assert remarks(found) == [
        "bass: the estimate is 105 samples late, others are not; make it again"
    ]


def test_a_remark_advises_aligning_only_where_it_was_not_tried() -> None:
    found = {"vocals": 105, "bass": 105}
    (advice,) = remarks(found)
    (declined,) = remarks(found, taken_out=False)
    (done,) = remarks(found, taken_out=True)
    assert "--align corrects it" in advice
    assert declined.endswith("not aligned")
    assert done == "the estimates were 105 samples late; aligned"


@pytest.mark.slow
def test_a_folder_of_folders_by_model_names_the_one_to_give() -> None:
    song(Path("songs/a"), 1)
    song(Path("demucs/htdemucs/a"), 1)
    song(Path("demucs/another/b"), 2)
    refused = CliRunner().invoke(main, ["score", "demucs", "--references", "songs", "-o", "out"])
    assert refused.exit_code == 2
    assert f"the folder {Path('demucs/htdemucs')} has some, give that one" in refused.output


@pytest.mark.slow
def test_estimates_of_songs_that_are_no_references_are_named() -> None:
    song(Path("songs/a"), 1)
    song(Path("made/a"), 1, error=0.1)
    song(Path("made/b"), 2)
    song(Path("made/test/c"), 3)
    assert "2 folders are of no track, 'b' the first" in score("made", "--references", "songs")


@pytest.mark.slow
def test_stems_without_a_reference_are_named_once() -> None:
    for name in ("a", "b"):
        vocals, rest, guitar = (noise(ord(name) + 10 * n) for n in range(3))
        song(Path("made", name), ord(name), error=0.1)
        for stem in ("guitar", "residual"):
            write(Path("made", name, f"{stem}.wav"), guitar, RATE, subtype="FLOAT")
        for stem, wave in {"vocals": vocals, "accompaniment": rest}.items():
            write(Path("songs", name, f"{stem}.wav"), wave, RATE, subtype="FLOAT")
    # All but the residual are parts of the accompaniment, as long as there is an "other".
    assert "no reference" not in score("made", "--references", "songs")
    for name in ("a", "b"):
        Path("made", name, "other.wav").unlink()
    told = score("made", "--references", "songs")
    assert told.count("no reference of guitar on 2 of 2 tracks, 'a' the first") == 1
    assert "no reference of bass on 2 of 2 tracks" in told
    assert "residual" not in told


@pytest.mark.slow
def test_songs_that_are_not_chosen_are_references_all_the_same() -> None:
    for name in ("a", "b", "c"):
        song(Path("songs", name), ord(name))
        song(Path("made", name), ord(name), error=0.1)
    assert "of no track" not in score("made", "--references", "songs", "--track", "a")
    song(Path("made/d"), 4)
    told = score("made", "--references", "songs", "--track", "a")
    assert "1 folder is of no track, 'd' the first" in told


@pytest.mark.slow
def test_a_second_call_of_a_name_leaves_no_rows_of_the_first() -> None:
    for name in "ab":
        song(Path("songs", name), ord(name))
        song(Path("first", name), ord(name), error=0.5)
    song(Path("second/a"), ord("a"), error=0.1)
    score("first", "--references", "songs")
    told = score("second", "--references", "songs")
    assert "b: removed older scores of m" in told
    assert [p.stem for p in Path("out/scores/m").rglob("*.json")] == ["a"]


@pytest.mark.slow
def test_names_are_the_same_composed_and_decomposed() -> None:
    song(Path("songs", unicodedata.normalize("NFC", "Señor")), 1)
    song(Path("est", unicodedata.normalize("NFD", "Señor")), 1, error=0.1)
    score("est", "--references", "songs")
    assert len(list(Path("out/scores").rglob("*.json"))) == 1


@pytest.mark.slow
def test_the_set_is_reported_and_can_be_that_of_museval() -> None:
    song(Path("songs/a"), 1)
    song(Path("est/a"), 1, error=0.1)
    assert "scored within vocals+drums+bass+other" in score("est", "--references", "songs")
    told = score("est", "--references", "songs", "--targets", "musdb")
    assert "vocals, accompaniment: scored within vocals+accompaniment" in told
    assert "drums, bass, other: scored within vocals+drums+bass+other" in told


def test_a_silent_reference_leaves_the_other_stem_no_sir_and_is_reported() -> None:
    song(Path("songs/a"), 1)
    song(Path("est/a"), 1, error=0.1)
    for folder in ("songs", "est"):
        for stem in STEMS[1:]:
            Path(folder, "a", f"{stem}.wav").unlink()
        write(f"{folder}/a/instrumental.wav", noise(5), RATE, subtype="FLOAT")
    soundfile.write("songs/a/vocals.wav", np.zeros((2 * RATE, 2)), RATE)
    assert "SIR" not in score("est", "--references", "songs")
    told = score("est", "--references", "songs", "--metric", "bsseval")
    assert "vocals: the reference is silent on a" in told
    assert (
        "accompaniment: all other references of its set are silent, so there is no SIR on a" in told
    )
    (file,) = Path("out/scores").rglob("*.json")
    scores = json.loads(file.read_text())["sepbench"]["stems"]["accompaniment"]["frames"]
    assert np.isnan(np.array(scores["SIR"], float)).all()
    assert np.isfinite(scores["SDR"]).all()


@pytest.mark.slow
def test_names_that_are_formulas_or_not_utf8_are_written_safely() -> None:
    for name in ("=1+2", "caf\udce9", "\x1b[31mred"):
        song(Path("songs", name), 1)
        song(Path("est", name), 1, error=0.1)
    told = score("est", "--references", "songs")
    assert "\x1b" not in told
    text = Path("out/scores.csv").read_text(encoding="utf-8")
    assert ",'=1+2," in text
    assert "caf\\udce9" in text
    assert "\\x1b[31mred" in text


def test_an_estimate_of_opposite_sign_is_not_late() -> None:
    time = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 200 * time, dtype=np.float32)[None]
    assert delay({"vocals": -tone}, {"vocals": tone}) == 0


@pytest.mark.slow
def test_a_track_that_was_renamed_counts_once() -> None:
    for name in "ab":
        song(Path("songs", name), ord(name))
        song(Path("est", name), ord(name), error=0.1)
    score("est", "--references", "songs")
    for folder in ("songs", "est"):
        Path(folder, "b").rename(Path(folder, "renamed"))
    told = score("est", "--references", "songs")
    assert "b is now called renamed: removed its scores of before" in told
    with Path("out/scores.csv").open(newline="") as file:
        assert {row["track"] for row in csv.DictReader(file)} == {"a", "renamed"}
    shutil.rmtree("songs/a")
    assert "a: no longer in the data set, but still in the tables" in score(
        "est", "--references", "songs"
    )


@pytest.mark.slow
def test_estimates_of_a_part_are_scored_as_that_part_and_of_no_other() -> None:
    song(Path("songs/a"), 1)
    song(Path("whole/a"), 1, error=0.1)
    for stem in STEMS:
        whole, rate = soundfile.read(f"whole/a/{stem}.wav")
        for folder, part in (("part", slice(RATE, None)), ("odd", slice(RATE // 2, None))):
            Path(folder, "a").mkdir(parents=True, exist_ok=True)
            soundfile.write(Path(folder, "a", f"{stem}.wav"), whole[part], rate, "FLOAT")
    score("whole", "--references", "songs", "--start", "1")
    right = mean_sdr()
    assert "taken for that part" in score("part", "--references", "songs", "--start", "1")
    assert mean_sdr() == pytest.approx(right, abs=1e-9)
    odd = CliRunner().invoke(
        main, ["score", "odd", "--references", "songs", "--start", "1", "-o", "odd-out"]
    )
    assert odd.exit_code == 1
    assert "1.50 s long, the track 2.00 s and its part 1.00 s" in odd.output


def test_a_folder_of_songs_has_no_subset_to_choose() -> None:
    song(Path("songs/a"), 1)
    song(Path("est/a"), 1)
    refused = CliRunner().invoke(
        main, ["score", "est", "--references", "songs", "--subset", "train", "-o", "out"]
    )
    assert refused.exit_code == 2
    assert "songs is a folder of songs without subsets" in refused.output


@pytest.mark.slow
def test_a_method_and_estimates_of_a_folder_of_songs_are_in_one_run(tmp_path: Path) -> None:
    song(Path("songs/a"), 1)
    song(Path("est/a"), 1, error=0.1)
    made = ["evaluate", "-m", "mixture", "--no-isolate", "--dataset"]
    for words in (
        [*made, "songs"],
        [*made, "folder", "--root", "songs"],
        ["score", "est", "--references", "songs"],
        [
            "score",
            "est",
            "--references",
            "songs",
            "--subset",
            "all",
            "-o",
            "results/folder-songs-test",
        ],
    ):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
    assert [path.name for path in Path("results").iterdir()] == ["folder-songs-test"]
    scores = Path("results/folder-songs-test/scores.csv").read_text()
    assert {row.split(",")[3] for row in scores.splitlines()[1:]} == {"mixture", "est"}
    refused = CliRunner().invoke(main, [*made, "./nowhere"])
    assert refused.output == "error: ./nowhere: no such folder of songs\n"


def test_the_name_of_a_data_set_is_not_a_folder_that_happens_to_be_called_so() -> None:
    song(Path("est/a"), 1)
    song(Path("musdb18-hq/train/a"), 1)
    refused = CliRunner().invoke(main, ["score", "est", "--references", "musdb18-hq"])
    assert refused.exit_code == 2
    assert "data set musdb18-hq not found" in refused.output


def test_estimates_that_can_hardly_be_what_they_are_called_are_named() -> None:
    truth = {stem: noise(i) for i, stem in enumerate(STEMS)}
    made = {stem: true + noise(50 + i) / 4 for i, (stem, true) in enumerate(truth.items())}
    assert suspicions(made, truth) == []
    # A bad separator, and one that leaves all in, are not suspicious.
    mixture = sum(truth.values())
    assert suspicions(dict.fromkeys(STEMS, mixture), truth) == []
    # Nothing in common with the song: its files are those of another.
    assert suspicions({stem: noise(90 + i) for i, stem in enumerate(STEMS)}, truth) == [
        "no estimate resembles its reference; are they of this song?"
    ]

    swapped = {**made, "vocals": made["drums"], "drums": made["vocals"]}
    assert suspicions(swapped, truth) == [
        "vocals: the estimate is of drums; are their files mixed up?",
        "drums: the estimate is of vocals; are their files mixed up?",
    ]
    odd = {
        "vocals": -made["vocals"],
        "drums": made["drums"][::-1],
        "bass": made["bass"] / 4,
        "other": truth["other"],
    }
    assert suspicions(odd, truth) == [
        "vocals: the estimate has the opposite sign of the reference",
        "drums: left and right of the estimate are swapped",
        "bass: the estimate is 0.25 times as loud as the reference",
        "other: the estimate is the reference itself",
    ]
    # Most of a voice is in the middle; what is not tells left from right.
    narrow = {stem: true.mean(0) + 0.2 * true for stem, true in truth.items()}
    heard = {stem: true + noise(70 + i) / 9 for i, (stem, true) in enumerate(narrow.items())}
    assert suspicions(heard, narrow) == []
    crossed = {**heard, "vocals": heard["vocals"][::-1]}
    assert suspicions(crossed, narrow) == ["vocals: left and right of the estimate are swapped"]
    silence = {"vocals": 0 * truth["vocals"]}
    assert suspicions(silence, truth) == []
    assert suspicions(silence, silence) == []


def test_an_accompaniment_that_is_called_other_is_named() -> None:
    truth = {stem: noise(i) for i, stem in enumerate(STEMS)}
    rest = truth["drums"] + truth["bass"] + truth["other"]
    truth["accompaniment"] = rest
    made = {"vocals": truth["vocals"] + noise(50) / 4, "other": rest + noise(51) / 4}
    assert suspicions(made, truth) == [
        "other: the estimate is of the whole accompaniment; call its file so"
    ]
    assert suspicions({**made, "other": truth["other"] + noise(51) / 4}, truth) == []
    assert suspicions({"vocals": made["vocals"], "accompaniment": made["other"]}, truth) == []


@pytest.mark.parametrize("gain", [1e30, 1e-30])
def test_estimates_whose_squares_are_not_in_float32_are_compared_all_the_same(gain: float) -> None:
    truth = {stem: noise(i) for i, stem in enumerate(STEMS)}
    made = {stem: np.float32(gain) * (true + noise(50) / 4) for stem, true in truth.items()}
    said = suspicions(made, truth)
    assert [line.split("times")[1] for line in said] == [" as loud as the reference"] * len(STEMS)
    assert [float(line.split()[4]) for line in said] == pytest.approx([gain] * len(STEMS), rel=0.05)
    late = {stem: np.roll(samples, 37) for stem, samples in made.items()}
    assert delay(late, truth) == 37
