from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from made_runs import make_run
from matplotlib import image
from songs import tone

from sepbench import audio
from sepbench.errors import SepbenchError
from sepbench.evaluation.estimate_files import find
from sepbench.evaluation.estimates import Part, score, scored_stems
from sepbench.evaluation.records import of_sound
from sepbench.evaluation.store import Settings, Store, unique_name
from sepbench.report import tables
from sepbench.report.build import Report
from sepbench.report.page.clips import clips, loudness, spectrogram_png
from sepbench.report.page.excerpts import SECONDS, choose
from sepbench.report.page.make import make_page
from sepbench.report.page.write import kept_excerpts

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
    with pytest.raises(SepbenchError, match=r"(?s)no track none; it has .* and \d more$"):
        make_page(store, report, songs=("none",), **how)
