from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from songs import tone, white

from sepbench.errors import SepbenchError
from sepbench.inference import overlap_add, runner
from sepbench.inference.overlap_add import Samples
from sepbench.separator import BLOCK_ALIGNMENT, Oracle, Separator

CPU = torch.device("cpu")
RATE = 8000


class Fake(Separator):
    name = "fake"
    summary = "For tests."
    stems = ("vocals",)
    license = "MIT"
    citation = "none"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"vocals": mixture * 0.5}


class Smoother(Fake):
    """A moving average over 0.1 s: what it returns depends on half of that either side."""

    context = 0.05
    stems = ("vocals", "accompaniment")
    remainder = "accompaniment"

    def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
        window = torch.ones(1, 1, RATE // 10 + 1) / (RATE // 10 + 1)
        smooth = torch.nn.functional.conv1d(mixture[:, None], window, padding=RATE // 20)
        return {"vocals": smooth[:, 0]}


def noise(channels: int = 2, seconds: float = 3.0, rate: int = RATE) -> Samples:
    return white(channels, round(seconds * rate), seed=7)


def run(
    separator: Separator, mixture: Samples, rate: int = RATE, **more: Any
) -> dict[str, Samples]:
    return runner.separate(separator, mixture, rate=rate, device=CPU, **more).stems


def in_chunks(
    separator: Separator, mixture: Samples, size: int, rate: int = RATE
) -> dict[str, Any]:
    chunks = [mixture[:, i : i + size] for i in range(0, mixture.shape[1], size)]
    parts = list(runner.stream(separator, chunks, rate=rate, device=CPU))
    return {name: np.concatenate([p[name] for p in parts], axis=1) for name in parts[0]}


def decibels(wanted: Samples, got: Samples) -> float:
    return float(10 * np.log10(np.square(wanted).sum() / (np.square(wanted - got).sum() + 1e-30)))


@pytest.fixture
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap_add, "BLOCK_SECONDS", 2.0)


@pytest.mark.slow
@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize("seconds", [1.0, 3.1, 6.2, 20.0])
def test_blocks_sound_as_the_whole_song(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = noise(seconds=seconds)
    piecewise = in_chunks(Smoother(), mixture, 5000)["vocals"]
    monkeypatch.setattr(Smoother, "context", None)
    whole = run(Smoother(), mixture)["vocals"]
    assert piecewise.shape == mixture.shape
    assert decibels(whole, piecewise) > 100


@pytest.mark.usefixtures("short_blocks")
def test_how_a_song_arrives_changes_nothing() -> None:
    mixture = noise(seconds=9.0)
    one = in_chunks(Smoother(), mixture, 1234)["vocals"]
    other = in_chunks(Smoother(), mixture, 50000)["vocals"]
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.usefixtures("short_blocks")
def test_a_block_and_its_surround_bound_what_a_separator_is_given() -> None:
    longest = 0

    class Watched(Smoother):
        def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
            nonlocal longest
            longest = max(longest, mixture.shape[1])
            return super().separate(mixture)

    in_chunks(Watched(), noise(channels=1, seconds=60.0), 8000)
    assert longest <= 8 * BLOCK_ALIGNMENT


@pytest.mark.usefixtures("short_blocks")
def test_blocks_fade_into_one_another_without_a_step() -> None:
    class Counting(Fake):
        context = 0.0
        blocks = 0

        def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
            self.blocks += 1
            return {"vocals": torch.full_like(mixture, self.blocks)}

    made = in_chunks(Counting(), noise(seconds=9.0), 5000)["vocals"]
    rise = np.diff(made)
    assert made[0, 0] == 1
    assert made[0, -1] == 3
    # One in 0.1 s: no sample differs from the one before it by more than its share.
    assert rise.min() >= 0
    assert rise.max() <= 1.01 / (0.1 * RATE)


@pytest.mark.usefixtures("short_blocks")
def test_a_block_knows_which_part_of_it_is_kept() -> None:
    lengths = []

    class Sparing(Smoother):
        def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
            stem = super().separate(mixture)["vocals"]
            sparse = torch.zeros_like(stem)
            sparse[:, self.kept] = stem[:, self.kept]
            lengths.append((mixture.shape[1], stem[:, self.kept].shape[1]))
            return {"vocals": sparse}

    mixture, separator = noise(seconds=9.0), Sparing()
    np.testing.assert_array_equal(
        in_chunks(separator, mixture, 5000)["vocals"], run(Smoother(), mixture)["vocals"]
    )
    step, fade = 2 * BLOCK_ALIGNMENT, RATE // 10
    assert lengths[0] == (step + fade + BLOCK_ALIGNMENT, step + fade)
    assert separator.kept == slice(None)


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
def test_the_remainder_and_the_stems_sum_to_the_mixture(
    rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Smoother, "sample_rate", RATE)
    mixture = noise(rate=rate)
    stems = in_chunks(Smoother(), mixture, 7777, rate)
    assert stems["vocals"].shape == mixture.shape
    np.testing.assert_allclose(stems["vocals"] + stems["accompaniment"], mixture, atol=1e-6)


@pytest.mark.parametrize("samples", [1, 2, 441, 44099, 44101])
def test_resampling_keeps_the_length_to_the_sample(
    samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fake, "sample_rate", 22050)
    mixture = noise()[:, :1].repeat(samples, axis=1)
    assert run(Fake(), mixture, rate=44100)["vocals"].shape == (2, samples)


def test_resampling_there_and_back_keeps_a_tone_in_its_band(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Fake, "sample_rate", 22050)
    played = tone(1000, 2, 44100, level=0.5)
    kept = run(Fake(), played, rate=44100)["vocals"] * 2
    middle = slice(4410, -4410)
    assert decibels(played[:, middle], kept[:, middle]) > 80


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("wanted", [1, 2, None])
def test_every_channel_comes_out_where_it_went_in(
    channels: int, wanted: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = []

    class Watched(Fake):
        def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
            fed.append(mixture.shape[0])
            return super().separate(mixture)

    monkeypatch.setattr(Watched, "channels", wanted)
    mixture = noise(channels, seconds=0.1)
    stems = run(Watched(), mixture)
    np.testing.assert_allclose(stems["vocals"], mixture * 0.5)
    assert set(fed) == {wanted or channels}


def test_a_mono_song_through_a_stereo_separator_is_the_mean_of_both_sides() -> None:
    class Leaning(Fake):
        channels = 2

        def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
            return {"vocals": mixture * torch.tensor([[1.0], [0.0]])}

    mono = noise(1, 0.1)
    np.testing.assert_allclose(run(Leaning(), mono)["vocals"], mono / 2)


def test_an_oracle_is_shown_the_references_and_others_are_not() -> None:
    class Knowing(Oracle):
        name, summary, stems = "knowing", "For tests.", ("vocals", "drums")
        license, citation = "MIT", "none"

        def separate(
            self, mixture: torch.Tensor, references: Mapping[str, torch.Tensor]
        ) -> Mapping[str, torch.Tensor]:
            return {"vocals": references["vocals"]}

    truth = {"vocals": noise(seconds=0.2)}
    np.testing.assert_array_equal(
        run(Knowing(), noise(seconds=0.2), references=truth)["vocals"], truth["vocals"]
    )
    with pytest.raises(SepbenchError, match="runs in 'sepbench evaluate' alone"):
        run(Knowing(), noise(seconds=0.2))


def raises(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (lambda x: {}, "returned the stems []"),
        (lambda x: {"voice": x}, "returned the stems ['voice'], expected ['vocals']"),
        (lambda x: {"vocals": x[:, 1:]}, "of shape (2, 799), expected (2, 800)"),
        (lambda x: {"vocals": x * float("nan")}, "NaN or infinity in vocals"),
        (lambda x: {"vocals": x / 0}, "NaN or infinity in vocals"),
        (lambda x: None, "returned NoneType, expected a dict of tensors by stem"),
        (lambda x: {None: x}, "returned a stem named None, expected a text"),
        (lambda x: {"vocals": x.numpy()}, "write torch.from_numpy(stem)"),
        (lambda x: {"vocals": x.tolist()}, "vocals of type list, expected a torch.Tensor"),
        (lambda x: {"vocals": x * 1j}, "vocals of complex numbers, expected float32"),
        (lambda x: {"vocals": (32768 * x).short()}, "vocals of int16, expected float32"),
        (lambda x: {"vocals": x > 0}, "vocals of bool, expected float32"),
        (lambda x: raises(SystemExit(3)), "fake: SystemExit: 3"),
        (lambda x: raises(ValueError("bad\nluck")), "fake: ValueError: bad luck"),
        (lambda x: raises(MemoryError()), "fake: ran out of memory; try --duration"),
    ],
)
def test_a_faulty_separator_is_one_line_that_names_it(behaviour: Any, message: str) -> None:
    class Faulty(Fake):
        def separate(self, mixture: torch.Tensor) -> Mapping[str, torch.Tensor]:
            result: Mapping[str, torch.Tensor] = behaviour(mixture)
            return result

    with pytest.raises(SepbenchError) as caught:
        run(Faulty(), noise(seconds=0.1))
    assert message in str(caught.value)
    assert "fake" in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="states what happens without a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:3", "gpu", "xpu"])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(SepbenchError, match="this machine has cpu"):
        runner.choose_device(name)


@pytest.mark.parametrize(("cards", "device"), [(0, "cpu"), (2, "cuda:0")])
def test_auto_is_the_first_card_or_the_processor(
    monkeypatch: pytest.MonkeyPatch, cards: int, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    assert str(runner.choose_device("auto")) == device


@pytest.mark.parametrize(("name", "device"), [("cuda", "cuda:0"), ("cuda:1", "cuda:1")])
def test_a_card_is_chosen_by_its_number(
    monkeypatch: pytest.MonkeyPatch, name: str, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(runner.choose_device(name)) == device
    with pytest.raises(SepbenchError, match="this machine has cpu, cuda:0, cuda:1"):
        runner.choose_device("cuda:2")
