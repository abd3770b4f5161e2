"""Estimates that are made of the references, so that their scores are known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from songs import Samples, white, write

from sepbench import audio
from sepbench.datasets import open_dataset
from sepbench.datasets.selection import select
from sepbench.evaluation.estimate_files import find
from sepbench.evaluation.estimates import score
from sepbench.evaluation.records import Record
from sepbench.evaluation.scoring import target_sets
from sepbench.evaluation.store import Settings, Store
from sepbench.metrics import sdr
from sepbench.stems import disjoint, stem_of, with_sums

RATE = 44_100
SECONDS = 4


def noise(seed: int) -> Samples:
    return white(2, SECONDS * RATE, seed=seed, peak=0.1)


SONG = {name: noise(n) for n, name in enumerate(("vocals", "drums", "bass", "other"))}


def files(folder: Path, stems: Mapping[str, Samples], rate: int = RATE) -> Path:
    for name, samples in stems.items():
        write(folder / "song" / f"{name}.wav", samples, rate, subtype="FLOAT")
    return folder


def scored(
    estimates: Path, references: Path, out: Path, *, start: float = 0.0,
    duration: float | None = None, metrics: tuple[str, ...] = ("sdr",), align: bool = False,
) -> Record:  # fmt: skip
    tracks = select(open_dataset("folder", references), "test", ())
    settings = Settings.of("folder", references, "test", start, duration)
    (record,) = score(
        find(estimates, tracks), Store.create(out, settings), name="m", metrics=metrics,
        device="cpu", align=align, folder=estimates,
    )  # fmt: skip
    assert record.error is None
    return record


def usdr(record: Record) -> dict[str, float]:
    return {stem: result.totals["uSDR"] for stem, result in record.stems.items()}


def test_a_voice_and_a_guitar_alone_make_no_accompaniment_and_no_other(tmp_path: Path) -> None:
    five = {**SONG, "guitar": noise(9)}
    made = files(tmp_path / "made", {name: five[name] for name in ("vocals", "guitar")})
    found = usdr(scored(made, files(tmp_path / "five", five), tmp_path / "a"))
    assert set(found) == {"vocals", "guitar"}
    four = scored(made, files(tmp_path / "four", SONG), tmp_path / "b")
    assert set(four.stems) == {"vocals"}
    whole = usdr(scored(files(tmp_path / "all", five), tmp_path / "five", tmp_path / "c"))
    assert whole["accompaniment"] > 60


def test_the_rest_of_a_stem_is_not_that_stem(tmp_path: Path) -> None:
    rest = {"no_drums": SONG["vocals"] + SONG["bass"] + SONG["other"], "drums": SONG["drums"]}
    found = scored(files(tmp_path / "made", rest), files(tmp_path / "song", SONG), tmp_path / "a")
    assert set(found.stems) == {"drums", "percussive"}  # which is the same
    for name in ("no_bass", "Song (minus drums)", "without other"):
        assert stem_of(name) is None
    for name in ("minus_vocals", "Song (no vox)", "non vocals"):
        assert stem_of(name) == "accompaniment"


@pytest.mark.slow
@pytest.mark.parametrize("rate", [22_050, 48_000])
@pytest.mark.parametrize("start", [1.0, 1.23, 1.2345])
def test_a_part_of_estimates_of_another_rate_is_cut_at_the_same_instant(
    tmp_path: Path, rate: int, start: float
) -> None:
    made = {name: audio.resample(stem, RATE, rate) for name, stem in SONG.items()}
    songs, there = files(tmp_path / "songs", SONG), files(tmp_path / "made", made, rate)
    whole = usdr(scored(there, songs, tmp_path / "whole"))
    part = usdr(scored(there, songs, tmp_path / "part", start=start, duration=2.0))
    for stem in SONG:
        assert part[stem] == pytest.approx(whole[stem], abs=1.0)


def test_a_part_of_a_sum_is_not_in_its_set() -> None:
    """A drum that is scored too must not change the scores of voice and accompaniment."""
    pair = ("vocals", "accompaniment")
    references = with_sums(dict.fromkeys(SONG, 0))
    assert target_sets(pair, references) == dict.fromkeys(pair, pair)
    chosen = target_sets((*pair, "drums"), references)
    assert {stem: chosen[stem] for stem in pair} == dict.fromkeys(pair, pair)
    chosen = target_sets((*pair, "harmonic", "percussive"), references)
    assert {stem: chosen[stem] for stem in pair} == dict.fromkeys(pair, pair)
    assert chosen["harmonic"] == ("harmonic", "percussive")
    assert target_sets(tuple(SONG), references)["drums"] == tuple(SONG)


def test_a_part_of_the_accompaniment_is_in_the_mixture_once(tmp_path: Path) -> None:
    rest = SONG["drums"] + SONG["bass"]
    folder = files(
        tmp_path, {"vocals": SONG["vocals"], "accompaniment": rest, "guitar": SONG["bass"]}
    )
    (track,) = open_dataset("folder", folder).tracks("test")
    np.testing.assert_allclose(track.load().mixture, SONG["vocals"] + rest, atol=1e-6)
    assert disjoint(("vocals", "harmonic", "percussive", "piano")) == [
        "vocals",
        "harmonic",
        "percussive",
    ]


def test_scoring_again_with_other_metrics_keeps_the_first(tmp_path: Path) -> None:
    songs, made = files(tmp_path / "songs", SONG), files(tmp_path / "made", SONG)
    scored(made, songs, tmp_path / "run", metrics=("sdr", "level"))
    record = scored(made, songs, tmp_path / "run", metrics=("sdr", "silence"))
    assert {"level", "silence"} <= set(record.identity["metrics"])
    assert "level" in record.stems["vocals"].totals


def test_stems_that_are_not_late_are_not_shifted(tmp_path: Path) -> None:
    made = {
        "vocals": np.roll(SONG["vocals"], 100, axis=1),
        "drums": 0.28 * SONG["drums"] + noise(7),  # Too bad for its delay to be sure.
    }
    songs, there = files(tmp_path / "songs", SONG), files(tmp_path / "made", made)
    plain = usdr(scored(there, songs, tmp_path / "a"))
    aligned = usdr(scored(there, songs, tmp_path / "b", align=True))
    assert aligned == plain


@pytest.mark.parametrize("late", [1000, 1105, 3000, -1000, -1105])
@pytest.mark.parametrize("part", [{}, {"start": 1.0, "duration": 2.0}])
def test_an_aligned_estimate_loses_no_sample_that_is_in_its_file(
    tmp_path: Path, late: int, part: dict[str, float]
) -> None:
    rest = noise(8)[:, : max(0, late)]
    made = {
        name: np.concatenate([rest, stem[:, max(0, -late) :]], axis=1)
        for name, stem in SONG.items()
    }
    songs, there = files(tmp_path / "songs", SONG), files(tmp_path / "made", made)
    found = scored(there, songs, tmp_path / "run", align=True, **part)  # type: ignore[arg-type]
    begins_later = late < 0 and not part  # Its first samples are in no file.
    for stem, result in found.stems.items():
        frames = result.frames["SDR"][1:] if begins_later else result.frames["SDR"]
        assert min(frames) > 60, stem


@pytest.mark.parametrize("gain", [1.0, 1e-3, 1e-6, 1e-8])
def test_si_sdr_is_the_same_at_any_level(gain: float) -> None:
    import torch

    true, error = (torch.from_numpy(noise(n).astype(np.float64)) for n in (1, 2))
    windows = sdr.Windows.of_signal(true.shape[1], RATE)
    energies = sdr.measure(true, gain * (true + 0.01 * error), windows)
    assert sdr.si_sdr(energies) == pytest.approx(40.0, abs=0.1)


def test_what_sounds_for_less_than_half_a_second_has_no_score_of_the_ear() -> None:
    import torch

    from sepbench.metrics.peaq import two_variables

    def difference(seconds: float) -> Any:
        true, wrong = (torch.from_numpy(noise(n)[:, : int(seconds * 48_000)]) for n in (1, 2))
        return two_variables(true, 0.5 * true + 0.1 * wrong)[0]

    assert np.isnan(difference(0.3))
    assert difference(1.0) > 1


def test_stereo_in_antiphase_is_no_silence_for_interference() -> None:
    import torch

    from sepbench.metrics.scorer import TrackScorer
    from sepbench.registry.metrics import resolve_metrics

    voice = noise(1)
    side = np.stack([noise(2)[0], -noise(2)[0]])
    references = {"vocals": torch.from_numpy(voice), "other": torch.from_numpy(side)}
    scorer = TrackScorer(
        references, torch.from_numpy(voice + side), RATE, metrics=resolve_metrics(["nussl"])
    )
    made = {"vocals": torch.from_numpy(voice + 0.1 * side), "other": torch.from_numpy(side)}
    found = scorer.score(made, targets=("vocals", "other"), wanted=("vocals",))["vocals"]
    assert found.totals["nussl SI-SIR"] == pytest.approx(20, abs=1)
