from __future__ import annotations

import base64
import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from made_runs import make_run
from matplotlib import image
from songs import tone

from sepbench import audio
from sepbench.errors import SepbenchError
from sepbench.evaluation.estimate_files import find
from sepbench.evaluation.estimates import Part, score, scored_stems
from sepbench.evaluation.records import of_sound
from sepbench.evaluation.store import Settings, Store, unique_name
from sepbench.report import ratings, tables
from sepbench.report.build import Report
from sepbench.report.page.clips import clips, loudness, spectrogram_png
from sepbench.report.page.excerpts import SECONDS, choose
from sepbench.report.page.make import make_page
from sepbench.report.page.webmushra import write_webmushra
from sepbench.report.page.write import kept_excerpts
from sepbench.report.webmushra_results import keep_names, sessions

from .conftest import LEVELS, NAMES, RATE, MadeTrack, keep_stems, made_tracks


def test_the_excerpt_is_where_methods_differ_most(made_run) -> None:
    records = made_run.records()
    frames = {"good": [9.0] * 60, "poor": [9.0] * 40 + [0.0] * 20}
    changed = [
        replace(r, stems={"vocals": replace(r.stems["vocals"], frames={"SDR": frames[r.label]})})
        for r in records
        if r.label in frames and r.track == NAMES[0]
    ]
    (excerpt,) = choose([replace(r, audio_seconds=60.0) for r in changed], 1)
    assert 40 <= excerpt.start <= 60 - SECONDS
    assert excerpt.seconds == SECONDS
    assert excerpt.spread == pytest.approx(4.5)
    assert "4.5 dB" in excerpt.reason


@pytest.mark.parametrize(
    ("good", "poor", "spread"),
    [
        ([10.0, np.nan] * 6, [2.0, np.nan] * 6, 4.0),
        ([10.0, 8.0] * 6, [2.0, np.nan] * 6, 4.0),
        ([10.0, np.inf] * 6, [2.0, 2.0] * 6, 4.0),
        ([40.0] * 12, [-40.0] * 12, 40.0),
        ([np.nan] * 12, [np.nan] * 12, 0.0),
    ],
)
def test_the_stated_spread_is_that_of_the_scores_that_there_are(
    made_run, good, poor, spread
) -> None:
    frames = {"good": good, "poor": poor}
    changed = [
        replace(r, stems={"vocals": replace(r.stems["vocals"], frames={"SDR": frames[r.label]})})
        for r in made_run.records()
        if r.label in frames and r.track == NAMES[0]
    ]
    (excerpt,) = choose([replace(r, audio_seconds=12.0) for r in changed], 1)
    assert excerpt.spread == pytest.approx(spread)
    assert not spread or f"varies by {spread:.1f} dB" in excerpt.reason


def test_an_excerpt_of_scores_without_the_length_of_the_song_ends_within_it(made_run) -> None:
    frames = {"good": [9.0] * 30, "poor": [9.0] * 18 + [0.0] * 12}
    imported = [
        replace(
            r,
            stems={"vocals": replace(r.stems["vocals"], frames={"SDR": frames[r.label]})},
            audio_seconds=None,
        )
        for r in made_run.records()
        if r.label in frames and r.track == NAMES[0]
    ]
    (excerpt,) = choose(imported, 1)
    assert (excerpt.start, excerpt.seconds) == (18.0, SECONDS)
    short = [replace(r, stems={"vocals": last_three(r.stems["vocals"])}) for r in imported]
    (excerpt,) = choose(short, 1)
    assert (excerpt.start, excerpt.seconds) == (0.0, 3.0)


def last_three(result):
    return replace(result, frames={"SDR": result.frames["SDR"][-3:]})


def test_songs_come_in_the_order_in_which_methods_differ(made_run) -> None:
    records = [r for r in made_run.records() if not r.oracle]
    wide = [
        replace(
            r,
            stems={
                name: replace(result, frames={"SDR": [0.0, 30.0 * (r.label == "good")]})
                for name, result in r.stems.items()
            },
        )
        if r.track == NAMES[2]
        else r
        for r in records
    ]
    assert {one.track for one in choose(wide, 1)} == {NAMES[2]}


def test_stems_that_only_oracles_make_are_not_offered_beside_others(made_run) -> None:
    records = [r for r in made_run.records() if r.track == NAMES[0]]
    (oracle,) = (r for r in records if r.oracle)
    more = replace(oracle, stems={**oracle.stems, "drums": oracle.stems["vocals"]})
    others = [r for r in records if not r.oracle]
    assert [one.stem for one in choose([*others, more], 1)] == ["vocals", "accompaniment"]
    assert [one.stem for one in choose([more], 1)] == ["vocals", "drums", "accompaniment"]


def test_sources_are_cut_alike_and_equally_loud(made_run) -> None:
    excerpts = choose(made_run.records(), 1)
    (track,) = (one for one in made_tracks() if one.name == excerpts[0].track)
    clip = next(iter(clips(made_run, made_run.records(), track, excerpts)))
    kinds = [source.kind for source in clip.sources]
    assert sorted(kinds) == sorted(["mixture", "reference", *["method"] * 3, "oracle", "anchor"])
    assert len({source.samples.shape for source in clip.sources}) == 1
    levels = [loudness(s.samples * np.float32(10 ** (s.gain / 20)), RATE) for s in clip.sources]
    assert np.ptp(levels) < 0.01
    assert all(abs(s.samples).max() * 10 ** (s.gain / 20) <= 1.0001 for s in clip.sources)
    quiet = next(s for s in clip.sources if s.name == "poor")
    assert quiet.gain > next(s for s in clip.sources if s.name == "good").gain + 3


@pytest.mark.parametrize(
    ("level", "below", "quieter"), [(0.02, 15.0, 0), (1.0, 45.0, 1), (1.0, 90.0, 1)]
)
def test_quiet_sources_are_as_loud_as_the_others(
    tmp_path, level: float, below: float, quieter: int
) -> None:
    """The reference is as loud as ``level`` makes it, one estimate so many dB below it."""

    class Quiet(MadeTrack):
        def load(self, **part):
            song = super().load(**part)
            stems = {"vocals": np.float32(level) * song.references["vocals"]}
            return replace(song, references={**song.references, **stems})

    store = make_run(tmp_path, {"good": 8.0, "faint": 2.0}, [NAMES[0]])
    track = Quiet(NAMES[0], "test", "some", ("vocals",), ())
    for label, gain in {"good": 1.5, "faint": 10 ** (-below / 20)}.items():
        folder = store.stems_folder(label, "test", track.name)
        folder.mkdir(parents=True)
        samples = gain * track.load().references["vocals"]
        soundfile.write(folder / "vocals.wav", samples.T, RATE, subtype="FLOAT")
    (clip,) = clips(store, store.records(), track, choose(store.records(), 1)[:1])
    levels = {s.name: loudness(s.samples, RATE) + s.gain for s in clip.sources}
    assert clip.quieter == quieter
    faint = levels.pop("faint")
    assert np.ptp([*levels.values()]) < 0.01
    assert (faint < min(levels.values()) - 0.1) == bool(quieter)


def test_a_stem_that_ends_before_the_excerpt_leaves_the_others_whole(tmp_path) -> None:
    store = make_run(tmp_path, {"good": 8.0, "short": 2.0, "nearly": 2.0, "odd": 1.0}, [NAMES[0]])
    track = made_tracks()[0]
    song = track.load()
    for label, lack in {"good": 0, "short": 2 * RATE, "nearly": 10, "odd": 0}.items():
        folder = store.stems_folder(label, "test", track.name)
        folder.mkdir(parents=True)
        # Their sum is the accompaniment, of files that are not of one length.
        for stem in ("vocals", "drums", "bass", "other"):
            samples = song.mixture[:, : 4 * RATE - lack * (stem != "vocals")]
            soundfile.write(folder / f"{stem}.wav", samples.T, RATE, subtype="FLOAT")
    (store.stems_folder("odd", "test", track.name) / "vocals.wav").write_bytes(b"RIFF")
    notes: list[str] = []
    made = clips(store, store.records(), track, choose(store.records(), 1), notes.append)
    vocals, accompaniment = made
    damaged, short = notes
    assert damaged.startswith(f"odd: no audio of vocals of {track.name}: ")
    assert short == (
        f"short: no audio of accompaniment of {track.name}: 2.0 s shorter than the excerpt"
    )
    names = [{source.name for source in clip.sources} for clip in (vocals, accompaniment)]
    assert names[0] ^ names[1] == {"short", "odd"}
    shapes = {source.samples.shape for clip in (vocals, accompaniment) for source in clip.sources}
    assert shapes == {(2, 4 * RATE)}


def test_stems_of_a_scored_folder_are_heard_as_long_as_they_are_those_that_were_scored(
    tmp_path,
) -> None:
    track = made_tracks()[0]
    song = track.load()
    theirs = tmp_path / "theirs" / unique_name(track.name)  # As a run keeps stems.
    theirs.mkdir(parents=True)
    for stem, samples in song.references.items():
        soundfile.write(theirs / f"{stem}.wav", 0.5 * samples.T, RATE, subtype="FLOAT")
    store = Store.create(tmp_path / "run", Settings("some", "test"))
    found = find(theirs.parent, [track])
    records = score(
        found, store, name="theirs", metrics=("sdr",), device="cpu", folder=theirs.parent
    )
    assert [record.audio_seconds for record in records] == [song.mixture.shape[1] / RATE]
    excerpts = choose(records, 1)

    def heard():
        return {
            source.name: source for source in next(clips(store, records, track, excerpts)).sources
        }

    np.testing.assert_array_equal(heard()["theirs"].samples, 0.5 * song.references["vocals"])
    assert kept_excerpts(store, records, 1) == excerpts
    soundfile.write(theirs / "vocals.wav", song.mixture.T, RATE, subtype="FLOAT")
    assert "theirs" not in heard()


@pytest.mark.parametrize("kept", ["the whole song", "the part that was scored"])
@pytest.mark.parametrize("align", [False, True])
def test_of_a_scored_folder_only_what_is_heard_is_decoded(
    tmp_path, monkeypatch, kept, align
) -> None:
    class Long(MadeTrack):
        seconds = 5.0

    track = Long(NAMES[0], "test", "some", ("vocals", "accompaniment"), ())
    part = Part(1.0, 3.0)
    whole = kept == "the whole song"
    written = track.load() if whole else track.load(start=1.0, duration=3.0)
    late = 100 if align else 0
    theirs = tmp_path / "theirs" / unique_name(track.name)
    theirs.mkdir(parents=True)
    for stem, samples in written.references.items():
        delayed = np.roll(samples, late, axis=1)
        soundfile.write(theirs / f"{stem}.wav", 0.5 * delayed.T, RATE, subtype="FLOAT")
    store = Store.create(tmp_path / "run", Settings("some", "test", part.start, part.duration))
    (record,) = score(
        find(theirs.parent, [track]),
        store,
        name="theirs",
        metrics=("sdr",),
        device="cpu",
        align=align,
        folder=theirs.parent,
    )
    asked = []
    read = audio.read

    def watched(path, **how):
        asked.append(how["duration"])
        return read(path, **how)

    monkeypatch.setattr(audio, "read", watched)
    song = track.load(start=2.5, duration=1.0)
    stems = scored_stems(record, track, song, 1.5, scored=part)
    for name, reference in song.references.items():
        np.testing.assert_allclose(stems[name], 0.5 * reference, atol=1e-6)
    if not align:  # A delay is that of the whole song.
        assert asked == [1.0, 1.0]


def test_loudness_is_that_of_the_standard() -> None:
    # ITU-R BS.1770: a full-scale 997 Hz sine in one channel is -3.01 LKFS, in two 3.01 more.
    assert loudness(tone(997, 2, 48000, channels=2, level=1.0), 48000) == pytest.approx(
        0.0, abs=0.05
    )
    assert loudness(np.zeros((2, 4800), np.float32), 48000) == -np.inf


def test_a_tone_is_a_line_at_its_height_in_the_spectrogram() -> None:
    played = tone(1000, 2, RATE, level=1.0)
    picture = image.imread(io.BytesIO(spectrogram_png(played, RATE, 1e-9)))
    picture = image.imread(io.BytesIO(spectrogram_png(played, RATE, 100.0)))
    brightest = picture[..., :3].sum(2).mean(1).argmax()
    expected = 1 - np.log(1000 / 50) / np.log(RATE / 2 / 50)
    assert brightest / picture.shape[0] == pytest.approx(expected, abs=0.02)


@pytest.mark.slow
def test_the_page_s_sounds_are_the_samples_that_were_separated(page, made_run) -> None:
    text = page.read_text()
    known = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    clip = next(c for c in known["listen"] if c["track"] == NAMES[3] and c["stem"] == "vocals")
    source = next(s for s in clip["sources"] if s["name"] == "good")
    script = (page.parent / "audio" / f"{source['key']}.js").read_text()
    payload = json.loads(script[script.index(",") + 1 : script.rindex(")")])
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(payload["audio"])))
    kept, _ = soundfile.read(made_run.stems_folder("good", "test", NAMES[3]) / "vocals.wav")
    assert rate == RATE
    assert source["made"] == of_sound(made_run.load("good", "test", NAMES[3]).identity)
    assert heard.shape == kept.shape
    assert np.square(heard - kept).sum() < 0.03 * np.square(kept).sum()


@pytest.mark.slow
def test_names_cannot_leave_their_place_in_the_page(page) -> None:
    text = page.read_text()
    for name in NAMES:
        assert name not in text
    assert "<b onclick" not in text
    assert "<script>window.bad" not in text


def test_webmushra_gets_a_trial_with_every_method_equally_loud(made_run, tmp_path) -> None:
    files = write_webmushra(made_run, made_tracks(), tmp_path, songs=1)
    test = yaml.safe_load(files[0].read_text())
    order, *trials = test["pages"][1]
    assert order == "random"
    assert [set(trial["stimuli"]) for trial in trials] == [
        {"good", "poor", " b onclick=bad() [x=1]"}
    ] * 2
    assert all(trial["strict"] for trial in trials)
    # Its parser of YAML, yaml.js, takes these for a text, and cannot read keys of several lines.
    assert not [line for line in files[0].read_text().splitlines() if line.lstrip()[:3] == "- -"]
    assert len(files[0].read_text().splitlines()) == 6 + 1 + 1 + 2 + len(trials) + 1
    # It sends ratings in a form without encoding.
    sent = [trial["id"] for trial in trials] + [name for t in trials for name in t["stimuli"]]
    assert not set("&<>+%\"'") & set("".join(sent))
    loud, kinds = [], set()
    for trial in trials[:1]:
        for name in [trial["reference"], *trial["stimuli"].values()]:
            samples, rate = soundfile.read(tmp_path / name, dtype="float32")
            loud.append(loudness(samples.T, rate))
            kinds.add((samples.shape, rate))
    assert np.ptp(loud) < 0.1
    # Its validator refuses sounds of other lengths, rates or channels than the reference's, and
    # sounds of more than 12 s.
    ((length, _), rate) = kinds.pop()
    assert not kinds
    assert length <= 12 * rate


def test_songs_of_one_name_are_told_apart_in_webmushra(tmp_path) -> None:
    store = make_run(tmp_path / "run", {"good": 8.0}, ["song"])
    for record in store.records():
        store.save(replace(record, subset="train"))
    tracks = [MadeTrack("song", subset, "some", (), ()) for subset in ("test", "train")]
    for track in tracks:
        folder = store.stems_folder("good", track.subset, "song")
        folder.mkdir(parents=True)
        soundfile.write(folder / "vocals.wav", track.load().mixture.T, RATE)
    files = write_webmushra(store, tracks, tmp_path, songs=2)
    trials = yaml.safe_load(files[0].read_text())["pages"][1][1:]
    assert {trial["name"] for trial in trials} == {"vocals: song (test)", "vocals: song (train)"}


def results(path: Path, test: dict, said: dict[str, int], listener: str = "0b1e-5") -> Path:
    """Write the table of ratings that webMUSHRA writes of a test, with a rating by stimulus."""
    _, *trials = test["pages"][1]
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            head = "session_test_id session_uuid trial_id rating_stimulus rating_score"
            writer.writerow([*head.split(), "rating_time", "rating_comment"])
        for trial in trials:
            for name in (*trial["stimuli"], "reference", "anchor35"):
                row = ["sepbench", listener, trial["id"], name, said.get(name, 50), 1234, ""]
                writer.writerow(row)
    return path


def test_ratings_of_webmushra_come_back_under_the_names_of_the_run(made_run, tmp_path) -> None:
    files = write_webmushra(made_run, made_tracks(), tmp_path, songs=2)
    test = yaml.safe_load(files[0].read_text())
    table = results(tmp_path / "mushra.csv", test, {"good": 80, "reference": 100, "anchor35": 10})
    results(table, test, {"good": 60, "reference": 95, "anchor35": 20}, "77aa")
    ratings.add([table], made_run.folder, {(one.track, one.label) for one in made_run.records()})
    said = ratings.table(made_run.folder)
    assert set(said["listener"]) == {"0b1e-5", "77aa"}
    assert set(said["track"]) <= set(NAMES)
    assert set(said["stem"]) == {"vocals", "accompaniment"}
    assert set(said[said["kind"] == "method"]["source"]) == {
        "good",
        "poor",
        "<b onclick=bad()>[x=1]",
    }
    assert set(said[said["source"] == "good"]["rating"]) == {80, 60}
    assert set(said[said["kind"] == "anchor"]["rating"]) == {10, 20}
    for file in (made_run.folder / "ratings").iterdir():
        file.unlink()


def test_a_table_of_ratings_may_have_been_saved_by_a_spreadsheet(made_run, tmp_path) -> None:
    test = yaml.safe_load(
        write_webmushra(made_run, made_tracks(), tmp_path, songs=1)[0].read_text()
    )
    table = results(tmp_path / "mushra.csv", test, {"good": 80})
    known = list(sessions(table, made_run.folder))
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    assert list(sessions(table, made_run.folder)) == known


@pytest.mark.parametrize("score", ["loud", "nan", "inf", "-1", "101"])
def test_a_rating_outside_the_scale_is_refused_by_line(made_run, tmp_path, score: str) -> None:
    test = yaml.safe_load(
        write_webmushra(made_run, made_tracks(), tmp_path, songs=1)[0].read_text()
    )
    table = results(tmp_path / "mushra.csv", test, {"good": 80})
    table.write_text(table.read_text().replace("80", score, 1))
    with pytest.raises(SepbenchError, match=f"line \\d+: '{score}' is no rating from 0 to 100"):
        list(sessions(table, made_run.folder))


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"t": 1}', '{"t": {"methods": {"a": 1}, "track": "x"}}', "[" * 99999]
)
def test_a_damaged_list_of_trials_is_one_line_and_not_overwritten(tmp_path, text: str) -> None:
    (tmp_path / "webmushra.json").write_text(text)
    with pytest.raises(SepbenchError, match=r"webmushra\.json: damaged; delete it and export"):
        keep_names(tmp_path, {})
    assert (tmp_path / "webmushra.json").read_text() == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "no column session_uuid; give results/sepbench/mushra.csv"),
        ("", "no column session_uuid"),
        ("session_uuid,trial_id,rating_stimulus,rating_score\n", "no ratings; nobody has"),
        (
            "session_uuid,trial_id,rating_stimulus,rating_score\nx,trial 9,unet,50\n",
            "line 2: 'unet' of 'trial 9' is in no test of",
        ),
    ],
)
def test_other_tables_are_one_line(made_run, tmp_path, content: str, message: str) -> None:
    table = tmp_path / "mushra.csv"
    table.write_text(content)
    with pytest.raises(SepbenchError, match=message) as caught:
        ratings.add([table], made_run.folder)
    assert "\n" not in str(caught.value)


def test_a_run_without_kept_stems_says_how_to_get_some(made_run, tmp_path) -> None:
    from made_runs import make_run

    bare = make_run(tmp_path / "bare", {"good": 1.0}, 2)
    with pytest.raises(SepbenchError, match="--listen 5"):
        write_webmushra(bare, [MadeTrack("song 00", "test", "some", (), ())], tmp_path, songs=1)


def exported(path, listener, rating, *, reference=100):
    """Write ratings of two songs as the page exports them; ``rating`` gives that of a method."""
    trials = [
        {
            "track": track,
            "subset": "test",
            "stem": "vocals",
            "ratings": [
                {"source": "reference", "kind": "reference", "rating": reference},
                *({"source": m, "kind": "method", "rating": rating(m, n)} for m in METHODS),
            ],
        }
        for n, track in enumerate(NAMES)
    ]
    plain = {"format": ratings.FORMAT, "listener": listener, "ratings": trials, "abx": []}
    path.write_text(json.dumps(plain))
    return path


METHODS = ("good", "poor")


def test_opinions_are_means_over_songs_with_their_interval(tmp_path) -> None:
    for n, name in enumerate(("ann", "bob")):
        said = exported(
            tmp_path / name, name, lambda m, k, n=n: 80 + k + 4 * n - 50 * (m != "good")
        )
        ratings.add([said], tmp_path)
    table = ratings.table(tmp_path)
    reference, good, poor = ratings.opinions(table)
    assert reference.kind == "reference"
    assert (good.source, good.mean, good.over, good.count) == ("good", 83.5, "tracks", 4)
    assert good.interval.low < good.mean < good.interval.high
    assert poor.mean == 33.5
    ratings.add([tmp_path / "ann"], tmp_path)
    assert len(ratings.table(tmp_path)) == len(table), "a second export of a listener is the same"


def test_listeners_who_miss_the_hidden_reference_are_named(tmp_path) -> None:
    for name, reference in (("ann", 100), ("bob", 60)):
        said = exported(tmp_path / name, name, lambda m, k: 50, reference=reference)
        ratings.add([said], tmp_path)
    assert ratings.unreliable(ratings.table(tmp_path)) == ["bob"]


def test_a_metric_that_orders_as_listeners_do_agrees_with_them(made_run, tmp_path) -> None:
    from sepbench.report import tables

    scores = tables.scores(made_run.records())
    value = scores[scores["metric"].eq("uSDR") & scores["stem"].eq("vocals")]
    known = {(row.label, row.track): row.value for row in value.itertuples()}
    said = exported(tmp_path / "ann", "ann", lambda m, n: 50 + 2 * known[m, NAMES[n]])
    ratings.add([said], tmp_path)
    found = ratings.agreement(ratings.table(tmp_path), scores)
    of_metric = {(one.stem, one.metric): one for one in found}
    assert of_metric["vocals", "uSDR"].spearman == pytest.approx(1)
    assert of_metric["vocals", "uSDR"].pearson == pytest.approx(1)
    assert of_metric["vocals", "uSDR"].pairs == 8
    assert ("accompaniment", "uSDR") not in of_metric


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": "other"}, "not 'sepbench ratings 1'"),
        ({"listener": "../../x"}, "letters and digits"),
        ({"ratings": [{"track": "a"}]}, "a trial without ratings"),
        (
            {
                "ratings": [
                    {
                        "track": "a",
                        "subset": "b",
                        "stem": "c",
                        "ratings": [{"source": "x", "kind": "method", "rating": 101}],
                    }
                ]
            },
            "0 to 100",
        ),
    ],
)
def test_what_the_page_has_not_exported_is_refused(tmp_path, change, fault) -> None:
    plain = {"format": ratings.FORMAT, "listener": "ann", "ratings": []} | change
    (tmp_path / "file").write_text(json.dumps(plain))
    good = exported(tmp_path / "bob", "bob", lambda m, n: 50)
    with pytest.raises(SepbenchError, match=fault):
        ratings.add([good, tmp_path / "file"], tmp_path)
    assert not (tmp_path / "ratings").exists()


def test_ratings_of_another_run_are_refused(tmp_path) -> None:
    said = exported(tmp_path / "ann", "ann", lambda m, n: 50)
    with pytest.raises(SepbenchError, match="rates no track and method of this run"):
        ratings.add([said], tmp_path, {("another song", "good")})
    ratings.add([said], tmp_path, {(NAMES[0], "good")})
    assert set(ratings.table(tmp_path)["listener"]) == {"ann"}


def test_ratings_of_stems_that_another_run_made_are_refused(tmp_path) -> None:
    said = exported(tmp_path / "ann", "ann", lambda m, n: 50)
    plain = json.loads(said.read_text())
    for trial in plain["ratings"]:
        for one in trial["ratings"][1:]:
            one["made"] = f"by {one['source']}"
    made = {("test", name, label): f"by {label}" for name in NAMES for label in METHODS}
    changed = made | {("test", NAMES[1], "good"): "by other weights"}
    ratings.add([said], tmp_path, None, changed)  # An older page does not say how.
    (tmp_path / "bob").write_text(json.dumps(plain | {"listener": "bob"}))
    with pytest.raises(SepbenchError, match=r"rates good on .* as another run made it"):
        ratings.add([tmp_path / "bob"], tmp_path, None, changed)
    ratings.add([tmp_path / "bob"], tmp_path, None, made)
    assert set(ratings.table(tmp_path)["listener"]) == {"ann", "bob"}


@pytest.mark.slow
def test_the_songs_to_listen_to_can_be_named(tmp_path) -> None:
    store = make_run(tmp_path / "run", LEVELS, NAMES)
    keep_stems(store, made_tracks())
    records = store.records()
    report = Report(tables.scores(records), tables.summary(records), [], [])
    how = {"protocol": "mdx", "tracks": made_tracks()}
    page = make_page(store, report, songs=("SONG*",), **how).path.read_text()
    known = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert {clip["track"] for clip in known["listen"]} == {NAMES[3]}
    assert sorted(known["tracks"]) == sorted(NAMES)
    with pytest.raises(SepbenchError, match="no track none; it has"):
        make_page(store, report, songs=("none",), **how)
