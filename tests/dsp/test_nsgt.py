from __future__ import annotations

import json
from collections.abc import Callable

import golden_nsgt
import numpy as np
import pytest
import songs
import torch
from old_nsgt import library_frame

from sepbench.dsp.nsgt import Nsgt, RaggedNsgt, bark, linear, log, mel, octave
from sepbench.dsp.slices import Slices

SCALES = {
    "bark": bark(0, 22050, 96),
    "part of bark": bark(30, 20000, 24),
    "mel": mel(80, 11000, 30),
    "log": log(30, 18000, 60),
    "octave": 27.5 * np.exp2(np.arange(115) / 12),
    "linear": linear(0, 22050, 50),
    "uneven": [50, 120, 300, 450, 1000, 1700, 4000, 9000],
    "one": [3000],
}
MIXIN = SCALES["bark"]
GOLDEN = json.loads(golden_nsgt.FILE.read_text())
PRECISIONS = [(torch.float32, 1e-5), (torch.float64, 1e-12)]


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return songs.noise(*shape, dtype=dtype)


def both(scale, samples):
    """The bands as the library has them: as a matrix, and ragged."""
    ragged = RaggedNsgt(scale, samples=samples)

    def rows(signal):
        return [row for group in ragged.forward(signal) for row in group]

    def back(bands):
        sizes = [bands for bands, _ in ragged.shapes]
        stacked = iter(torch.as_tensor(row) for row in bands)
        return ragged.inverse([torch.stack([next(stacked) for _ in range(n)]) for n in sizes])

    whole = Nsgt(scale, samples=samples)
    return {
        "matrix": (whole.forward, lambda bands: whole.inverse(torch.as_tensor(np.array(bands)))),
        "ragged": (rows, back),
    }


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS, ids=str)
@pytest.mark.parametrize("samples", [4096, 4411])
@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_signal_comes_back(scale, samples, dtype, tolerance):
    signal = noise(2, samples, dtype=dtype)
    longest = Nsgt(scale, samples=samples).frames
    for nsgt in (
        Nsgt(scale, samples=samples),
        Nsgt(scale, samples=samples, frames=longest + 13),
        RaggedNsgt(scale, samples=samples),
        RaggedNsgt(scale, samples=samples, lengths="grouped"),
    ):
        back = nsgt.inverse(nsgt.forward(signal))
        assert back.dtype == dtype
        torch.testing.assert_close(back, signal, atol=tolerance, rtol=0)


@pytest.mark.parametrize("seed", range(20))
def test_any_increasing_frequencies_come_back_or_are_refused(seed):
    random = np.random.default_rng(seed)
    scale = np.cumsum(random.exponential(400, size=60))
    signal = noise(1000, dtype=torch.float32)
    refused = ""
    try:
        nsgt = Nsgt(scale, samples=1000)
    except ValueError as error:
        refused = str(error)
    if refused:
        assert "uncovered" in refused
    else:
        torch.testing.assert_close(nsgt.inverse(nsgt.forward(signal)), signal, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", GOLDEN)
def test_coefficients_and_inverse_are_those_of_the_nsgt_library(name):
    golden = GOLDEN[name]
    scale, samples = golden_nsgt.FRAMES[name.split()[0]]
    forward, inverse = both(scale, samples)[name.split()[1]]
    bands = [row.numpy() for row in forward(torch.from_numpy(golden_nsgt.signal(samples)))]
    assert [len(row) for row in bands] == golden["lengths"]
    sums = np.array(golden["real"]) + 1j * np.array(golden["imag"])
    np.testing.assert_allclose(golden_nsgt.summary(bands), sums, rtol=0, atol=1e-9)
    back = inverse(golden_nsgt.changed(bands))[:: samples // 50]
    np.testing.assert_allclose(back, golden["back"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("form", ["matrix", "ragged"])
@pytest.mark.parametrize(
    ("scale", "samples"),
    [(scale, samples) for scale in SCALES.values() for samples in (4096, 4411, 1023)]
    + [(MIXIN, 44032)],
)
def test_every_coefficient_is_that_of_the_nsgt_library(scale, samples, form):
    try:
        library = library_frame(scale, 44100, samples, matrix=form == "matrix")
    except ImportError as error:
        pytest.skip(f"nsgt does not import: {error}")
    forward, inverse = both(scale, samples)[form]
    signal = noise(samples)
    theirs = list(library.forward(signal.numpy()))
    for ours, row in zip(forward(signal), theirs, strict=True):
        np.testing.assert_allclose(ours, row, rtol=0, atol=1e-9)
    changed = golden_nsgt.changed(theirs)
    back = library.backward(np.array(changed) if form == "matrix" else changed)
    np.testing.assert_allclose(inverse(changed), back, rtol=0, atol=1e-9)


def test_the_frame_of_mixin_is_96_bands_of_1948():
    nsgt = Nsgt(bark(0, 22050, 96), rate=44100, samples=44032)
    assert (nsgt.bands, nsgt.frames) == (96, 1948)
    assert nsgt.widths[:4].tolist() == [54, 54, 54, 55]
    assert nsgt.widths[-2:].tolist() == [1905, 1948]
    assert nsgt.frequencies[1] == pytest.approx(27.15, abs=0.6)  # in the middle of a bin


@pytest.mark.parametrize("band", [1, 5, 11, 17, 22])
@pytest.mark.parametrize("beside", [-0.3, 0.0, 0.3])
def test_a_tone_peaks_in_the_nearest_band_at_all_times(band, beside):
    nsgt = Nsgt(bark(0, 22050, 24), samples=44032)
    centre = nsgt.frequencies[band]
    neighbour = nsgt.frequencies[band + (1 if beside > 0 else -1)]
    frequency = centre + abs(beside) * (neighbour - centre)
    frequency = round(frequency / 44100 * 44032) * 44100 / 44032
    tone = torch.sin(2 * torch.pi * frequency / 44100 * torch.arange(44032, dtype=torch.float64))
    assert (nsgt.forward(tone).abs().argmax(0) == band).all()


def test_a_click_is_at_its_time_in_every_band():
    nsgt = Nsgt(bark(0, 22050, 24), samples=44032)
    click = torch.zeros(44032)
    click[30000] = 1
    peaks = nsgt.forward(click).abs().argmax(1) / nsgt.frames * 44032
    assert (peaks - 30000).abs().max() <= 44032 / nsgt.frames


def test_more_frames_sample_the_same_bands_more_densely():
    once = Nsgt(bark(0, 22050, 24), samples=4096)
    twice = Nsgt(bark(0, 22050, 24), samples=4096, frames=2 * once.frames)
    signal = noise(4096)
    torch.testing.assert_close(2 * twice.forward(signal)[:, ::2], once.forward(signal))


def test_a_shift_of_the_period_shifts_the_frames():
    nsgt = Nsgt(bark(0, 22050, 24), samples=4096, frames=1024)
    signal = noise(4096)
    shifted = nsgt.forward(signal.roll(4 * 40))
    # Bands are moved to frequency zero, which leaves the phase of their centres behind.
    torch.testing.assert_close(shifted.abs(), nsgt.forward(signal).roll(40, -1).abs())


@pytest.mark.parametrize("form", [Nsgt, RaggedNsgt])
def test_the_transform_is_linear_and_a_batch_is_its_signals(form):
    nsgt = form(bark(0, 22050, 24), samples=1500)
    signals = noise(2, 3, 1500)

    def flat(signal):
        coefficients = nsgt.forward(signal)
        groups = [coefficients] if form is Nsgt else coefficients
        return torch.cat([group.flatten(-2) for group in groups], dim=-1)

    together = flat(signals)
    for song in range(2):
        for channel in range(3):
            torch.testing.assert_close(together[song, channel], flat(signals[song, channel]))
    mixed = flat(2 * signals[0] - 3 * signals[1])
    torch.testing.assert_close(mixed, 2 * together[0] - 3 * together[1])
    back = nsgt.inverse(nsgt.forward(signals), 900)
    torch.testing.assert_close(back, signals[..., :900])


@pytest.mark.parametrize("form", [Nsgt, RaggedNsgt])
def test_many_signals_at_once_are_each_on_its_own(form):
    """They do not fit into a processor's cache, and are worked on in turn."""
    nsgt = form(MIXIN)
    signals = noise(24, 44032, dtype=torch.float32)
    back = nsgt.inverse(nsgt.forward(signals))
    torch.testing.assert_close(back, signals, atol=1e-5, rtol=0)
    alone = nsgt.inverse(nsgt.forward(signals[20]))
    torch.testing.assert_close(back[20], alone, atol=2e-6, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("form", [Nsgt, RaggedNsgt])
def test_other_devices_than_processors_make_the_same_shapes(form):
    """Where nothing computes, what only processors can would fail."""
    nsgt = form(MIXIN)
    signals = torch.zeros(2, 3, 44032)
    here, there = nsgt.forward(signals), nsgt.forward(signals.to("meta"))
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.is_meta
        assert theirs.shape == ours.shape
    assert nsgt.inverse(there, 1000).shape == (2, 3, 1000)


def test_lower_precision_for_networks_is_not_for_the_transform():
    nsgt = Nsgt(MIXIN)
    signal = noise(44032, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = nsgt.inverse(nsgt.forward(signal))
    assert torch.equal(inside, nsgt.inverse(nsgt.forward(signal)))


def test_a_short_signal_goes_on_with_zeros():
    nsgt = Nsgt(bark(0, 22050, 24), samples=1500)
    signal = noise(700)
    padded = torch.nn.functional.pad(signal, (0, 800))
    torch.testing.assert_close(nsgt.forward(signal), nsgt.forward(padded))


def test_the_same_signal_gives_the_same_numbers():
    nsgt = Nsgt(bark(0, 22050, 96), samples=8192)
    signal = noise(3, 8192, dtype=torch.float32)
    first, second = nsgt.forward(signal), nsgt.forward(signal)
    assert torch.equal(first, second)
    assert torch.equal(nsgt.inverse(first), nsgt.inverse(second))


def test_a_mask_leaves_no_trace_of_the_slices():
    """Keep the lower bands: of a low tone, nothing else may be heard where slices meet."""
    nsgt = Nsgt(bark(0, 22050, 24), samples=4096)
    tone = torch.sin(2 * torch.pi * 440 / 44100 * torch.arange(30000, dtype=torch.float64))
    low = torch.from_numpy(nsgt.frequencies < 1500).double()[:, None]

    def worst(slices):
        """The loudest sample that is not the tone, in dB of the tone."""
        back = slices.join(nsgt.inverse(low * nsgt.forward(slices.cut(tone))), 30000)
        return 20 * torch.log10((back - tone)[4096:-4096].abs().max())

    assert worst(Slices(4096, 0)) > -20
    assert worst(Slices(4096, 1000)) < -90
    assert worst(Slices(4096, 2048)) < -100
    assert worst(Slices(4096, 2048, "both")) < -90
    assert worst(Slices(4096, 2048, "synthesis")) < -75


@pytest.mark.parametrize("scale", [[], [0, 22050], [30000.0, 40000.0], [100, 100], [300, 200]])
def test_scales_that_do_not_increase_inside_the_band_are_refused(scale):
    with pytest.raises(ValueError, match="increasing frequencies"):
        Nsgt(scale)


def test_gaps_too_few_frames_and_long_signals_are_refused():
    with pytest.raises(ValueError, match="uncovered"):
        Nsgt([100, 110, 120, 10000, 10010, 10020], samples=44100)
    with pytest.raises(ValueError, match="frames >= 1948, the widest band"):
        Nsgt(bark(0, 22050, 96), frames=1947)
    with pytest.raises(ValueError, match="at most 100 samples, not 101"):
        Nsgt([3000], samples=100).forward(torch.zeros(101))


@pytest.mark.parametrize("scale", [bark, mel])
def test_scales_end_where_they_are_said_to(
    scale: Callable[[float, float, int], np.ndarray],
) -> None:
    # 64 Bark bands up to 4 kHz ended a rounding below it, with a band of no width above.
    for rate in (8000, 16000, 22050, 44100):
        for bands in range(8, 128, 7):
            frequencies = scale(0, rate / 2, bands)
            assert (frequencies[0], frequencies[-1]) == (0, rate / 2)
            assert len(frequencies) == bands
    assert Nsgt(scale(0, 4000, 64), rate=8000, samples=8192).bands == 64


def test_a_linear_scale_far_from_zero_is_a_frame_too() -> None:
    nsgt = Nsgt(linear(80, 16000, 96), rate=44100, samples=22050)
    signal = torch.randn(22050, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    again = nsgt.inverse(nsgt.forward(signal), 22050)
    assert float((again - signal).abs().max()) < 1e-12


def test_octaves_end_at_the_highest_as_the_library_s_do() -> None:
    scale = octave(27.5, 20000, 12)
    assert len(scale) == 116
    assert scale[-1] == pytest.approx(20000)
    np.testing.assert_allclose(octave(55, 440, 2), 55 * 2 ** (np.arange(7) / 2))
