from __future__ import annotations

import math
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile
from matplotlib.text import Text
from songs import tone

from sepbench import audio
from sepbench.report import activity, figure, song
from sepbench.report.spectrogram import (
    BANDS,
    LOWEST,
    MOST_FRAMES,
    band_powers,
    picture,
)

RATE = 44100


def band_of(hertz, rate=RATE):
    return int(BANDS * math.log(hertz / LOWEST) / math.log(rate / 2 / LOWEST))


def shown(page, name):
    (axes,) = [axes for axes in page.axes if axes.get_label() == name]
    return axes.images[0].get_array()


@pytest.mark.parametrize("rate", [16000, 44100, 96000])
@pytest.mark.parametrize("hertz", [110, 440, 3000])
def test_a_tone_is_in_its_band(hertz, rate):
    powers = band_powers(tone(hertz, rate=rate, channels=2), rate)
    # At low frequencies a band is narrower than a bin, so all bands of the nearest bin are loud.
    bin_width = rate / 2 ** round(math.log2(0.093 * rate))
    lowest, highest = band_of(hertz - bin_width, rate), band_of(hertz + bin_width, rate)
    middle = powers[:, powers.shape[1] // 2]
    assert lowest <= int(middle.argmax()) <= highest


def test_white_noise_is_even_over_bands():
    noise = np.random.default_rng(0).normal(size=(1, 8 * RATE))
    levels = 10 * np.log10(band_powers(noise, RATE).mean(axis=1))
    assert np.abs(levels - levels.mean()).max() < 1.5


def test_a_click_is_where_it_sounds():
    signal = np.zeros((1, 4 * RATE))
    signal[0, 3 * RATE] = 1.0
    powers = band_powers(signal, RATE).sum(axis=0)
    assert int(powers.argmax()) / len(powers) == pytest.approx(0.75, abs=0.02)


def test_true_stems_and_errors_stand_beside_where_they_are_known():
    low, high = tone(440, 0.5, 8000, channels=2), tone(2000, 0.5, 8000, channels=2)
    page = picture(
        low + high, {"bass": low + 0.1 * high, "other": high}, 8000, truths={"bass": low}
    )
    middle = shown(page, "true bass").shape[1] // 2
    true, error = (shown(page, f"{name} bass")[:, middle] for name in ("true", "error of"))
    assert true[band_of(440, 8000)] == pytest.approx(0, abs=1)  # The loudest of the mixture.
    # Of the other tone a tenth is left, 20 dB below it; of its own nothing is missing.
    whole = shown(page, "other")[:, middle]
    assert error[band_of(2000, 8000)] == pytest.approx(whole[band_of(2000, 8000)] - 20, abs=0.1)
    assert error[band_of(440, 8000)] < -60
    labels = {axes.get_label() for axes in page.axes}
    assert "true other" not in labels
    plain = picture(low, {"bass": low}, 8000)
    assert not {axes.get_label() for axes in plain.axes} & {"true bass", "error of bass"}


def test_true_stems_are_next_to_a_mixture_and_are_summed(tmp_path):
    parts = {
        name: tone(440, 0.5, 8000, channels=2)
        for name in ("mixture", "vocals", "drums", "bass", "other")
    }
    for name, samples in parts.items():
        soundfile.write(tmp_path / f"{name}.wav", samples.T, 8000, subtype="FLOAT")
    files = {"vocals": tmp_path / "v.wav", "accompaniment": tmp_path / "a.wav"}
    job = SimpleNamespace(song=tmp_path / "mixture.wav", files=files)
    found = song._truths(job, 8000, (2, 2000), 0.1)
    piece = (slice(None), slice(100, 300))
    expected = parts["vocals"][:, 900:1100]
    np.testing.assert_allclose(found["vocals"][piece], expected, atol=1e-6)
    np.testing.assert_allclose(found["accompaniment"][piece], 3 * expected, atol=1e-5)
    # Of estimates that a format has at another rate: true stems are brought to it.
    twice = song._truths(job, 16000, (2, 8000), 0.1)["vocals"]
    expected = tone(440, 0.5, 16000, channels=2)[:, 2600:3000]
    np.testing.assert_allclose(twice[:, 1000:1400], expected, atol=1e-3)
    other = SimpleNamespace(song=tmp_path / "vocals.wav", files=files)
    assert song._truths(other, 8000, (2, 2000), 0.0) == {}


def test_true_stems_that_end_early_are_silent_from_there(tmp_path):
    samples = tone(440, 0.2, 8000, channels=2)
    for name in ("mixture.wav", "vocals.wav", "other.mp3"):
        longer = samples if name == "mixture.wav" else samples[:, :800]
        soundfile.write(tmp_path / name, longer.T, 8000)
    files = {"vocals": tmp_path / "v.wav", "other": tmp_path / "o.wav"}
    job = SimpleNamespace(song=tmp_path / "mixture.wav", files=files)
    for start, sounding in ((0.0, 800), (0.05, 400), (0.15, 0)):
        for truth in song._truths(job, 8000, (2, 1600), start).values():
            made = truth[:, 0:1600]
            assert made.shape == (2, 1600)
            assert np.abs(made[:, sounding + 100 :]).max() == 0
            if sounding:
                assert np.abs(made[:, : sounding - 100]).max() > 0.2


@pytest.mark.parametrize("suffix", ["mp3", "opus", "m4a"])
def test_stems_in_formats_without_seeking_are_read_once_and_in_the_song_s_place(tmp_path, suffix):
    samples = tone([440, 3000], 6, channels=2)  # Four blocks.
    soundfile.write(tmp_path / "song.wav", samples.T, RATE)
    path = tmp_path / f"vocals.{suffix}"
    with audio.Writer(path, RATE, 2) as writer:
        writer.write(samples)
    info, opened = audio.info(path), []

    class Counting(audio.Reader):
        def __init__(self, *args, **how):
            opened.append(args)
            super().__init__(*args, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "Reader", Counting)
        shape = (2, info.samples)
        made, whole = (
            band_powers(song._signal(file, info.rate, shape), info.rate)
            for file in (path, tmp_path / "song.wav")
        )
    assert len(opened) <= 2
    middle = made.shape[1] // 2
    for hertz in (440, 3000):
        band = band_of(hertz, info.rate)
        assert whole[band, middle] == pytest.approx(made[band, middle], rel=0.1)


def test_the_mixture_is_the_audio_stream_that_was_separated(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as film:
        streams = [film.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(2)]
        for stream, hertz in zip(streams, (440, 1000), strict=True):
            whole = np.rint(32767 * tone(hertz, 1, 8000)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
            frame.rate = 8000
            film.mux(stream.encode(frame))
    for stream, hertz in ((None, 440), (0, 440), (1, 1000)):
        powers = band_powers(song._signal(path, 8000, (1, 8000), 0.0, stream), 8000)
        assert abs(int(powers.mean(axis=1).argmax()) - band_of(hertz, 8000)) <= 2


def test_masks_are_the_share_of_the_mixture_and_undefined_in_silence():
    low, high = tone(440, channels=2), tone(4000, channels=2)
    page = picture(low + high, {"bass": low, "other": 2 * high}, RATE)
    middle = shown(page, "mask of bass").shape[1] // 2
    bass, other = (shown(page, f"mask of {name}")[:, middle] for name in ("bass", "other"))
    assert bass[band_of(440)] == pytest.approx(1.0, abs=0.01)
    assert bass[band_of(4000)] == pytest.approx(0.0, abs=0.01)
    assert other[band_of(440)] == pytest.approx(0.0, abs=0.01)
    assert other[band_of(4000)] == 1.0
    silence = np.concatenate([low, 0 * low], axis=1)
    mask = shown(picture(silence, {"bass": silence}, RATE), "mask of bass")
    assert mask.mask[:, -5:].all()


def test_levels_share_the_scale_of_the_mixture():
    low, high = tone(440, channels=2), 0.1 * tone(4000, channels=2)
    page = picture(low + high, {"bass": low, "other": high}, RATE)
    assert shown(page, "mixture").max() == pytest.approx(0.0, abs=1e-3)
    assert shown(page, "bass").max() == pytest.approx(0.0, abs=0.1)
    # Power is the mean over a band's bins: of two tones the higher lies in more of them.
    assert -35 < shown(page, "other").max() < -18
    for name in ("mixture", "bass", "other"):
        assert shown(page, name).min() >= -80.001
        (axes,) = [axes for axes in page.axes if axes.get_label() == name]
        assert axes.images[0].get_clim() == (-80, 0)


class Long:
    """A song of any length that is never in memory as a whole."""

    def __init__(self, samples):
        self.shape = (2, samples)
        self.read = 0
        self.longest = 0

    def __getitem__(self, piece):
        start, stop, _ = piece[1].indices(self.shape[1])
        self.read += stop - start
        self.longest = max(self.longest, stop - start)
        return np.ones((2, stop - start), np.float32)


def test_a_long_song_costs_a_bounded_number_of_frames():
    song = Long(3 * 3600 * RATE)
    powers = band_powers(song, RATE)
    assert powers.shape == (BANDS, MOST_FRAMES)
    assert song.longest <= 4096
    assert song.read <= 4096 * MOST_FRAMES


@pytest.mark.slow
@pytest.mark.parametrize("samples", [0, 1, 100, 5000])
def test_short_and_silent_songs_are_drawn(samples, check_legible):
    song = np.zeros((1, samples), np.float32)
    check_legible(picture(song, {"vocals": song}, RATE))


@pytest.mark.slow
def test_text_is_whole_and_apart_from_other_text(check_legible):
    song = tone(440, channels=2)
    names = ("vocals", "drums", "bass", "other", "residual")
    title = "A $ong with_a^ very long 😀 name, " * 8 + "by hpss[margin=2]"
    check_legible(picture(song, dict.fromkeys(names, song), RATE, title=title))
    check_legible(picture(song, {}, RATE))


@pytest.mark.slow
def test_the_same_song_gives_the_same_bytes(tmp_path):
    song = tone(440, channels=2)
    one, other = (
        figure.save(picture(song, {"vocals": song}, RATE, title="😀 song"), tmp_path / name)
        for name in ("a.png", "b.png")
    )
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["X" * 140, "x" * 300, "THE SONG OF A WHOLE EVENING " * 5])
@pytest.mark.parametrize("of", ["stems", "activity"])
def test_a_long_name_of_a_song_is_not_cut_at_the_edge_of_its_picture(name, of):
    mixture = tone(440, seconds=1, channels=2)
    if of == "stems":
        page = picture(mixture, {"vocals": mixture}, RATE, title=f"{name}.wav, mask-cnn")
    else:
        page = activity.picture(mixture, RATE, np.zeros(100, np.float32), (), title=name)
    page.canvas.draw()
    texts = [one for one in page.findobj(Text) if one.get_text().startswith(name[:10])]
    assert texts
    for one in texts:
        edges = one.get_window_extent()
        assert 0 <= edges.x0 < edges.x1 <= page.bbox.x1
