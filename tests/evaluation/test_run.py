from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch
from fakes import Calm, Crashing, Empty, Endless, Hungry, Raising, Unloadable

from sepbench._util import entry_points
from sepbench._util.text import song_marks
from sepbench.audio import sound_mark
from sepbench.datasets import open_dataset
from sepbench.datasets.base import Track, TrackAudio, assemble
from sepbench.errors import SepbenchError
from sepbench.evaluation import run as evaluation
from sepbench.evaluation import workers as scoring
from sepbench.evaluation.estimate_files import Estimates
from sepbench.evaluation.estimates import score
from sepbench.evaluation.records import Record
from sepbench.evaluation.renamed import forget_renamed
from sepbench.evaluation.run import Done, RunConfig
from sepbench.evaluation.store import Settings, Store
from sepbench.inference import workers
from sepbench.metrics.metric import Metric
from sepbench.registry import Method, resolve
from sepbench.registry.metrics import METRIC_GROUP
from sepbench.report import build as report
from sepbench.separator import NoOptions, Separator

RATE = 8000


class Other(Calm):
    """The same by another name."""

    name = "other"


class Cardless(Calm):
    """One whose facts come from a card that is missing."""

    name = "cardless"

    @property
    def stems(self) -> tuple[str, ...]:  # type: ignore[override]
        raise SepbenchError("card.yaml: no key 'stmes'; did you mean 'stems'?")


class Noise(Track):
    """Three seconds of noise for a voice and for its accompaniment."""

    rate = RATE

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        generator = np.random.default_rng(len(self.name))
        stems = {
            name: generator.uniform(-0.3, 0.3, (2, 3 * RATE)).astype(np.float32)
            for name in ("vocals", "accompaniment")
        }
        return assemble(self.name, None, stems, RATE)

    def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
        return f"{self.name} {self.part_of}"


def track(name: str, content: str = "noise") -> Noise:
    return Noise(name, "test", "noise", ("vocals", "accompaniment"), (content,))


def method(separator: type[Separator]) -> Method:
    return Method(separator.name, separator, NoOptions(), "tests 1")


TRACKS = [track("a"), track("bb")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "run", Settings("noise", "test"))


def run(
    store: Store,
    *separators: type[Separator],
    tracks: list[Noise] = TRACKS,
    plan: RunConfig = RunConfig(isolate=False),  # noqa: B008 - frozen
    on_done: Callable[[Done], None] = lambda done: None,
) -> list[Record]:
    return evaluation.run(tracks, [method(s) for s in separators], store, plan, on_done=on_done)


def csv_of(store: Store) -> bytes:
    report.write(store, protocol="sisec18")
    return (store.folder / "scores.csv").read_bytes()


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [
        (Raising, "ValueError: no luck today"),
        (Empty, "returned NaN or infinity in vocals"),
        (Hungry, "ran out of memory"),
        (Unloadable, "its weights are not where they were"),
    ],
)
def test_a_method_that_fails_costs_its_own_rows(
    store: Store, faulty: type[Separator], reason: str
) -> None:
    records = run(store, faulty, Calm)
    errors = [record.error for record in records if record.method == faulty.name]
    assert len(errors) == len(TRACKS)
    assert all(reason in (error or "") for error in errors)
    assert [r.error for r in records if r.method == "calm"] == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize("isolate", [False, True])
def test_a_track_that_its_data_set_cannot_identify_costs_its_own_rows(
    store: Store, isolate: bool
) -> None:
    class Lost(Noise):
        def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
            raise FileNotFoundError("index.json")

    lost = Lost("lost", "test", "noise", ("vocals", "accompaniment"), ("noise",))
    tracks, plan = [TRACKS[0], lost], RunConfig(isolate=isolate)
    records = {(r.track, r.method): r.error for r in run(store, Calm, tracks=tracks, plan=plan)}
    assert records["a", "calm"] is None
    reason = "track lost, not identified: FileNotFoundError: index.json"
    assert records["lost", "calm"] == reason
    # It is tried again as soon as it can be identified.
    again = run(store, Calm, tracks=[*tracks[:1], track("lost")], plan=plan)
    assert [record.error for record in again] == [None, None]
    assert forget_renamed(store, [lost, TRACKS[1]])  # Of the scores of "a", which is not there.
    (record,) = score([Estimates(lost, {})], store, name="theirs", metrics=(), device="cpu")
    assert record.error == reason


@pytest.mark.parametrize("fact", ["seconds", "sound_file"])
def test_a_fact_of_a_track_that_its_data_set_fails_to_tell_costs_the_rows_that_need_it(
    store: Store, fact: str
) -> None:
    def fails(self: Track) -> None:
        raise ValueError("no header")

    class Trained(Calm):
        name = "trained"
        trained_songs: ClassVar = dict.fromkeys(song_marks("lost"), 3.0)
        trained_sounds = frozenset({"0123456789abcdef"})

    vague = type("Vague", (Noise,), {fact: property(fails)})
    lost = vague("lost", "test", "noise", ("vocals", "accompaniment"), ("noise",))
    records = run(store, Trained, Calm, tracks=[TRACKS[0], lost], plan=RunConfig(isolate=False))
    errors = {(r.track, r.method): r.error for r in records}
    assert errors.pop(("lost", "trained")) == "track lost, not identified: ValueError: no header"
    assert set(errors.values()) == {None}


@pytest.mark.slow
def test_a_process_that_dies_or_never_ends_costs_one_row(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WARM_UP", 0.1)
    plan = RunConfig(isolate=True, timeout=20)
    records = run(store, Crashing, Calm, tracks=TRACKS[:1], plan=plan)
    assert "its process died (signal SIGKILL; out of memory?)" in (records[0].error or "")
    assert records[1].error is None
    records = run(store, Endless, tracks=TRACKS[:1], plan=replace(plan, timeout=0.5))
    assert "took longer than 0.5 seconds for its first second" in (records[0].error or "")


@dataclass(frozen=True)
class Slow(Noise):
    """Takes longer to read than methods have for it."""

    def load(self, *, start: float = 0.0, duration: float | None = None) -> TrackAudio:
        time.sleep(2)
        return super().load(start=start, duration=duration)


@pytest.mark.slow
def test_the_timeout_of_methods_is_not_for_reading_and_scoring(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    songs: list[Noise] = [Slow("a", "test", "noise", ("vocals", "accompaniment"), ("noise",))]
    plan = RunConfig(timeout=1.5)
    (record,) = run(store, Calm, tracks=songs, plan=plan)
    assert record.error is None
    monkeypatch.setattr(scoring, "SCORING", 1.5)
    (record,) = run(store, Other, tracks=songs, plan=plan)
    assert record.error == "track a, read and scored: took longer than 1.5 seconds"


@pytest.mark.slow
def test_a_run_that_is_stopped_resumes_and_ends_in_the_same_table(
    store: Store, tmp_path: Path
) -> None:
    whole = Store.create(tmp_path / "whole", Settings("noise", "test"))
    run(whole, Calm, Raising)

    def stop(done: Done) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(store, Calm, Raising, on_done=stop)
    assert len(list(store.records())) == 1
    fresh = [done.kept for done in _watched(store)]
    assert sorted(fresh) == [False, False, False, True]
    assert csv_of(store) == csv_of(whole)


def _watched(store: Store) -> list[Done]:
    seen: list[Done] = []
    run(store, Calm, Raising, on_done=seen.append)
    return seen


def test_a_method_whose_facts_cannot_be_read_costs_its_own_row(store: Store) -> None:
    made = run(store, Calm, Cardless)
    reasons = {(record.label, record.error) for record in made}
    assert reasons == {
        ("calm", None),
        ("cardless", "card.yaml: no key 'stmes'; did you mean 'stems'?"),
    }
    assert len(made) == 4
    failed = [record for record in store.records() if record.error]
    assert {(one.label, one.track) for one in failed} == {("cardless", "a"), ("cardless", "bb")}
    assert all(one.stems for one in store.records() if not one.error)


def test_a_card_that_was_broken_later_costs_no_scores(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cardless, "stems", Calm.stems)
    before = run(store, Cardless)
    monkeypatch.undo()
    assert all(one.error for one in run(store, Cardless))  # They are told, and exit 1 follows.
    assert store.records() == sorted(before, key=lambda record: record.track)


def test_what_is_done_is_not_done_again_and_what_failed_is_tried_again(store: Store) -> None:
    run(store, Calm, Raising)
    seen = {(done.record.method, done.kept) for done in _watched(store)}
    assert seen == {("calm", True), ("raising", False)}


@pytest.mark.parametrize("changed", ["audio", "version", "metrics"])
def test_whatever_can_change_a_score_makes_it_again(
    store: Store, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, Calm)
    plan, tracks = RunConfig(isolate=False), TRACKS
    if changed == "audio":
        tracks = [track("a", "other noise"), track("bb", "other noise")]
    elif changed == "version":
        monkeypatch.setattr(Calm, "version", "2")
    else:
        plan = replace(plan, metrics=("sdr", "nussl"))
    seen: list[Done] = []
    run(store, Calm, tracks=tracks, plan=plan, on_done=seen.append)
    assert [done.kept for done in seen] == [False, False]


class Loudest(Metric):
    """The largest sample of an estimate."""

    name = "loudest"
    summary = "Largest sample."
    totals: ClassVar[tuple[str, ...]] = ("loudest",)
    higher_is_better = False
    silence = "0"
    source = "Nobody 2026"

    def score(
        self, reference: torch.Tensor, estimate: torch.Tensor, mixture: torch.Tensor, rate: int
    ) -> dict[str, torch.Tensor]:
        return dict.fromkeys(self.totals, estimate.abs().max())


def test_a_metric_whose_scores_were_renamed_scores_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = entry_points.find
    point = EntryPoint("loudest", f"{__name__}:Loudest", METRIC_GROUP)
    more = {METRIC_GROUP: {"loudest": [point]}}
    monkeypatch.setattr(entry_points, "find", lambda group: {**real(group), **more.get(group, {})})
    plan = RunConfig(isolate=False, metrics=("loudest",))
    run(store, Calm, plan=plan)
    run(store, Calm, plan=replace(plan, metrics=("silence",)))
    monkeypatch.setattr(Loudest, "totals", ("peak", "crest"))
    run(store, Calm, plan=plan)
    seen: list[Done] = []
    run(store, Calm, plan=plan, on_done=seen.append)
    assert [done.kept for done in seen] == [True, True]
    for record in store.records():
        totals = record.stems["vocals"].totals
        assert totals["loudest peak"] > 0
        assert "loudest" not in totals
        assert "silence" in record.identity["metrics"]


def test_scores_of_more_metrics_than_asked_for_are_kept(store: Store) -> None:
    run(store, Calm, plan=RunConfig(isolate=False, metrics=("sdr", "nussl")))
    seen: list[Done] = []
    run(store, Calm, on_done=seen.append)
    assert [done.kept for done in seen] == [True, True]
    assert all("nussl SNR" in done.record.stems["vocals"].totals for done in seen)


@pytest.mark.slow
def test_other_metrics_and_a_failure_lose_no_scores(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, Calm, plan=RunConfig(isolate=False, metrics=("sdr", "fullness")))
    run(store, Calm, plan=RunConfig(isolate=False, metrics=("silence",)))
    before = store.records()
    for record in before:
        assert {"sdr", "fullness", "silence"} <= set(record.identity["metrics"])

    def broken(self: Calm, mixture: torch.Tensor) -> dict[str, torch.Tensor]:
        raise ValueError("broken")

    monkeypatch.setattr(Calm, "separate", broken)
    failed = run(store, Calm, plan=RunConfig(isolate=False, metrics=("loudness",)))
    assert all("broken" in (record.error or "") for record in failed)
    assert store.records() == before


def test_scores_of_a_metric_that_is_gone_are_not_dropped_in_silence(store: Store) -> None:
    run(store, Calm)
    for record in store.records():
        metrics = [*record.identity["metrics"], "gone 2.0", "fullness 0.9"]
        store.save(replace(record, identity={**record.identity, "metrics": metrics}))
    before = store.records()
    run(store, Calm)  # Nothing is computed, so nothing is lost.
    with pytest.raises(SepbenchError, match=r"calm, a: its scores of gone 2\.0, which is not inst"):
        run(store, Calm, plan=RunConfig(isolate=False, metrics=("silence",)))
    assert store.records() == before


def test_imported_scores_are_not_replaced_by_a_method_of_their_name(store: Store) -> None:
    run(store, Calm)
    for record in store.records():
        store.save(replace(record, identity={"folder": "theirs"}))
    with pytest.raises(SepbenchError, match="imported scores called 'calm'; choose another --out"):
        run(store, Calm)


def test_stems_of_other_audio_do_not_stay_beside_new_scores(store: Store) -> None:
    run(store, Calm, plan=RunConfig(isolate=False, save_stems=True))
    kept = store.stems_folder("calm", "test", "a")
    assert any(kept.iterdir())
    run(store, Calm, plan=RunConfig(isolate=False, metrics=("silence",)))
    assert any(kept.iterdir())
    for record in store.records():
        store.save(replace(record, identity={**record.identity, "audio": "other"}))
    run(store, Calm)
    assert not kept.exists()


def test_stems_that_a_method_no_longer_makes_do_not_stay_beside_the_new(store: Store) -> None:
    plan = RunConfig(isolate=False, save_stems=True)
    run(store, Calm, plan=plan)
    kept = store.stems_folder("calm", "test", "a")
    made = sorted(kept.iterdir())
    made[0].rename(kept / "drums.wav")  # As by an earlier version of the method.
    run(store, Calm, plan=plan)
    assert sorted(kept.iterdir()) == made


def test_stems_do_not_stay_where_a_failure_replaced_their_scores(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = store.stems_folder("calm", "test", "a")
    plan = RunConfig(isolate=False, save_stems=True)
    run(store, Calm, plan=plan)
    monkeypatch.setattr(Calm, "separate", Raising.separate)
    run(store, Calm, plan=replace(plan, metrics=("silence",)))
    assert any(kept.iterdir())  # As the scores do.
    run(store, Calm, tracks=[track("a", "other noise")], plan=plan)
    assert not kept.exists()
    assert any(store.stems_folder("calm", "test", "bb").iterdir())


def test_stems_that_another_process_is_about_to_score_stay(store: Store) -> None:
    run(store, Calm, plan=RunConfig(isolate=False, save_stems=True))
    for path in store.folder.glob("scores/*/*/*.json"):
        path.unlink()
    run(store, Calm, plan=RunConfig(isolate=False, metrics=("silence",)))
    assert len(list(store.folder.glob("stems/*/*/*"))) == len(TRACKS)


def test_the_stems_of_a_renamed_track_go_with_its_scores(store: Store) -> None:
    run(store, Calm, plan=RunConfig(isolate=False, save_stems=True))

    class Renamed(Noise):
        def digest(self, *, start: float = 0.0, duration: float | None = None) -> str:
            return "a ('noise',)"

    (note,) = forget_renamed(
        store, [Renamed("new", "test", "noise", ("vocals",), ("noise",)), TRACKS[1]]
    )
    assert note == "a is now called new: removed its scores of before"
    assert [path.name for path in store.folder.glob("stems/*/*/*")] == ["bb"]


def test_methods_that_ran_on_other_tracks_are_reported_as_not_comparable(store: Store) -> None:
    run(store, Calm)
    run(store, Other, tracks=TRACKS[:1])
    made = report.write(store, protocol="sisec18")
    (remark,) = made.remarks
    assert remark == "no scores of all 2 tracks, so not ranked with the others: other"
    assert made.incomplete == {"other"}


@pytest.mark.parametrize(
    ("heard", "part_of", "marked"),
    [
        ("musdb18/train", "musdb18/train", True),
        ("musdb18/train", "musdb18/test", False),
        ("medleydb/train", "musdb18/train", True),
        ("musdb18-hq/train", "musdb18/train", True),
        ("musdb18-7s/train", "musdb18/test", False),
        ("dsd100/train", "musdb18/test", True),
        ("dsd100/train", "musdb18/train", False),
        ("musdb18/train", "dsd100/test", True),
        ("", "musdb18/test", False),
    ],
)
def test_a_method_that_was_trained_on_the_songs_is_marked(
    store: Store, monkeypatch: pytest.MonkeyPatch, heard: str, part_of: str, marked: bool
) -> None:
    monkeypatch.setattr(Calm, "trained_on", (heard,))
    (record,) = run(store, Calm, tracks=[track("a", part_of)])
    assert record.trained_on_this is marked


class Heard(Calm):
    """Was trained on a song of one's own."""

    name = "heard"
    trained_songs = MappingProxyType(dict.fromkeys(song_marks("My Song"), 3.0))


@dataclass(frozen=True)
class Own(Noise):
    length: float = 3.2

    @property
    def seconds(self) -> float:
        return self.length


def test_a_song_used_in_training_is_marked_in_every_folder(store: Store) -> None:
    def own(name: str, length: float) -> Own:
        return Own(name, "test", "folder", ("vocals", "accompaniment"), ("folder",), length)

    songs = [own("my_song", 3.2), own("My-Song (live)", 3.2), own("MY SONG", 30.0)]
    records = run(store, Heard, Calm, tracks=songs)
    marked = {(record.label, record.track) for record in records if record.trained_on_this}
    assert marked == {("heard", "my_song")}


class HeardInPublic(Calm):
    """Was trained on a song of DSD100, recorded only with the number that DSD100 gives it."""

    name = "heard-in-public"
    trained_songs = MappingProxyType(
        dict.fromkeys(
            song_marks("051 - AM Contra - Heart Peripheral")
            - song_marks("AM Contra - Heart Peripheral"),
            200.0,
        )
    )


class HeardNumberless(Calm):
    name = "heard-numberless"
    trained_songs = MappingProxyType(
        dict.fromkeys(song_marks("AM Contra - Heart Peripheral"), 200.0)
    )


@pytest.mark.parametrize("where", ["musdb18", "musdb18-hq", "musdb18-7s", "dsd100"])
def test_a_public_song_used_in_training_is_marked_in_each_of_its_forms(
    store: Store, where: str
) -> None:
    number = "051 - " if where == "dsd100" else ""
    name = f"{number}AM Contra - Heart Peripheral"
    length = 7.0 if where == "musdb18-7s" else 200.3
    part = (where, f"{where}/{'train' if where == 'dsd100' else 'test'}")
    song = Own(name, "test", where, ("vocals", "accompaniment"), part, length)
    records = run(store, HeardNumberless, Calm, tracks=[song])
    assert {r.label for r in records if r.trained_on_this} == {"heard-numberless"}
    if number:
        (record,) = run(store, HeardInPublic, tracks=[song])
        assert record.trained_on_this


def test_a_song_used_in_training_is_known_by_its_sound(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = np.random.default_rng(0).integers(-9000, 9000, (2, RATE, 2), np.int16)
    for name, voice in zip(("heard", "new"), voices, strict=True):
        for stem in ("vocals", "accompaniment"):
            file = tmp_path / "songs" / name / f"{stem}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, voice if stem == "vocals" else voice[::-1], RATE)
    mark = sound_mark(tmp_path / "songs/heard/vocals.wav")
    monkeypatch.setattr(Calm, "trained_sounds", frozenset({mark}))
    tracks = open_dataset("folder", tmp_path / "songs").tracks("all")
    records = run(store, Calm, tracks=tracks)
    assert {r.track: r.trained_on_this for r in records} == {"heard": True, "new": False}
    # Silence, of which there is one alone, tells nothing.
    soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    assert sound_mark(tmp_path / "silence.wav") == ""


def test_stems_are_kept_when_asked_for_and_made_again_when_they_are_gone(store: Store) -> None:
    plan = RunConfig(isolate=False, save_stems=True)
    run(store, Calm, plan=plan)
    stems = sorted(store.folder.glob("stems/calm/test/*/*.wav"))
    assert len(stems) == 4
    stems[0].unlink()
    seen: list[Done] = []
    run(store, Calm, plan=plan, on_done=seen.append)
    assert sorted(done.kept for done in seen) == [False, True]
    assert stems[0].exists()


@pytest.mark.slow
def test_several_jobs_give_the_same_table_as_one(store: Store, tmp_path: Path) -> None:
    other = Store.create(tmp_path / "other", Settings("noise", "test"))
    tracks = [track(name) for name in "abcd"]
    run(store, Calm, tracks=tracks)
    run(other, Calm, tracks=tracks, plan=RunConfig(isolate=False, jobs=3))
    assert csv_of(store) == csv_of(other)


def test_the_mixture_s_own_score_is_the_floor_of_every_improvement(store: Store) -> None:
    (first, *_) = run(store, Calm)
    scores = first.stems["vocals"]
    # Half the mixture of two equally loud noises is nearer to either than the mixture is.
    assert scores.totals["uSDR"] > scores.mixture_totals["uSDR"]
    assert scores.mixture_totals["uSDR"] == pytest.approx(0, abs=0.2)


@pytest.mark.slow
def test_rows_of_one_label_that_were_made_differently_stay_apart(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, Calm, tracks=TRACKS[:1])
    monkeypatch.setattr(Calm, "version", "2")
    run(store, Calm, tracks=TRACKS[1:])
    made = report.write(store, protocol="sisec18")
    assert set(made.summary["label"]) == {"calm (1)", "calm (2)"}
    assert "calm: made in 2 ways" in made.remarks[0]


@pytest.mark.slow
def test_an_executor_of_other_processes_gives_the_same_table(store: Store, tmp_path: Path) -> None:
    other = Store.create(tmp_path / "other", Settings("noise", "test"))
    run(store, Calm)
    methods = [method(Calm)]
    with ThreadPoolExecutor(1) as executor:
        records = evaluation.run(
            TRACKS, methods, other, RunConfig(isolate=False), executor=executor
        )
    assert len(records) == len(TRACKS)
    assert csv_of(store) == csv_of(other)


def test_a_run_s_own_folder_of_songs_is_part_of_its_settings(tmp_path: Path) -> None:
    first = Settings.of("folder", tmp_path / "FA", "test")
    Store.create(tmp_path / "out", first)
    with pytest.raises(SepbenchError, match="other settings"):
        Store.create(tmp_path / "out", Settings.of("folder", tmp_path / "FB", "test"))
    Store.create(tmp_path / "out", first)
    assert first.default_name == "folder-FA-test"


@pytest.mark.slow
def test_an_executor_of_real_processes_keeps_every_record(tmp_path: Path) -> None:
    settings = Settings("simulated", "test", 0.0, 2.0)
    tracks = open_dataset("simulated").tracks("test")[:2]
    (mixture,) = resolve("mixture")
    plan = RunConfig(metrics=("sdr",))
    here, there = (Store.create(tmp_path / name, settings) for name in ("here", "there"))
    evaluation.run(tracks, [mixture], here, plan)
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        records = evaluation.run(tracks, [mixture], there, plan, executor=executor)
    assert [record.error for record in records] == [None, None]
    assert csv_of(here) == csv_of(there)
