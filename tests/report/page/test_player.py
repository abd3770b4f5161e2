"""Sounds of the page in Chromium: in step to the sample, switched without a click."""

from __future__ import annotations

import numpy as np
import pytest

from .chromium import MARKS, choose, run_async, wait_for
from .conftest import LEVELS, RATE

pytestmark = MARKS


def test_sounds_come_only_when_asked_for_and_start_at_one_sample(listening) -> None:
    lags = run_async(
        listening,
        """
        const channels = Object.values(player.buffers).map((one) => one.getChannelData(0));
        return channels.map((one) => Array.from(one.slice(20000, 90000)));
        """,
    )
    names = listening.execute_script("return clip.sources.map((one) => one.name)")
    sounds = dict(zip(names, map(np.array, lags), strict=True))
    for name in LEVELS:
        middle = sounds["reference"][1000:-1000]
        match = np.correlate(sounds[name], middle, mode="valid")
        energy = np.convolve(np.square(sounds[name]), np.ones(len(middle)), mode="valid")
        place = int((match / np.sqrt(energy)).argmax())
        assert place == 1000, f"{name} is {place - 1000} samples beside the reference"
    loaded = listening.execute_script("return Object.keys(loaded).length")
    total = listening.execute_script("return run.listen.flatMap((one) => one.sources).length")
    assert loaded < total


SWITCHES = """
    const [order, rate, step] = values;
    const seconds = 0.2 * (order.length + 1);
    const context = new OfflineAudioContext(1, seconds * rate, rate);
    const names = Object.keys(player.buffers);
    const one = (key) => {
      const buffer = context.createBuffer(1, rate * seconds, rate);
      buffer.copyToChannel(player.buffers[key].getChannelData(0).subarray(0, rate * seconds), 0);
      return buffer;
    };
    const buffers = Object.fromEntries(names.map((key) => [key, one(key)]));
    const levels = Object.fromEntries(names.map((key) => [key, 1]));
    const voices = startVoices(context, context.destination, buffers,
      { when: 0, offset: 0, loop: null, heard: order[0], levels });
    order.slice(1).forEach((key, place) => {
      const when = 0.2 * (place + 1) + 0.0123;
      if (!step) return hear(voices, key, levels, when);
      for (const [name, voice] of Object.entries(voices))
        voice.gain.gain.setValueAtTime(name === key ? 1 : 0, when);
    });
    const made = await context.startRendering();
    return [Array.from(made.getChannelData(0)),
            ...order.map((key) => Array.from(buffers[key].getChannelData(0)))];
"""


def curvature(samples: np.ndarray) -> float:
    """Return the largest second difference: a smooth sound has a small one, a step a large one."""
    return float(abs(np.diff(samples, 2)).max())


def test_switching_keeps_the_position_to_the_sample_and_does_not_click(listening) -> None:
    keys = listening.execute_script(
        "return ['reference', 'poor', 'good', 'poor'].map((name) => "
        "clip.sources.find((one) => one.name === name).key)"
    )
    made, *sources = map(np.array, run_async(listening, SWITCHES, keys, RATE, False))
    for place, source in enumerate(sources):
        # A ramp later than the switch, what is heard is the chosen source at this very sample.
        inside = slice(round((0.2 * place + 0.04) * RATE), round((0.2 * place + 0.2) * RATE))
        assert abs(made[inside] - source[inside]).max() < 1e-4
    smooth = max(map(curvature, sources))
    assert curvature(made) < 1.5 * smooth
    hard, *_ = map(np.array, run_async(listening, SWITCHES, keys, RATE, True))
    assert curvature(hard) > 1.5 * smooth, "the sounds of this test could not show a click"


def test_playing_goes_on_while_sources_are_switched(listening) -> None:
    moments = run_async(
        listening,
        """
        await player.setLoop(null);
        await player.play();
        const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
        const seen = [];
        await wait(0.2);
        for (const source of clip.sources) {
          player.select(source.key);
          const now = player.context.currentTime;
          seen.push([now, player.position(now)]);
          await wait(0.08);
        }
        player.stop();
        return seen;
        """,
    )
    clock, position = np.array(moments).T
    assert np.ptp(clock) > 0.3, "the audio clock stands still"
    assert np.ptp(position - clock) < 0.001


def test_a_loop_stays_inside_and_fades_where_it_jumps(listening) -> None:
    positions = run_async(
        listening,
        """
        await loopTo(1.0, 1.4);
        await player.play();
        const seen = [];
        for (let count = 0; count < 12; count += 1) {
          await new Promise((resolve) => setTimeout(resolve, 70));
          seen.push(player.position());
        }
        player.stop();
        return seen;
        """,
    )
    assert min(positions) >= 1.0
    assert max(positions) < 1.4
    assert any(np.diff(positions) < 0), "it never came round"
    assert listening.execute_script("return !document.getElementById('region').hidden")
    rendered = run_async(
        listening,
        """
        const context = new OfflineAudioContext(1, 22050, 22050);
        const source = context.createConstantSource();
        const gain = context.createGain();
        source.connect(gain).connect(context.destination);
        source.start(0);
        dip(gain.gain, 0.5);
        return Array.from((await context.startRendering()).getChannelData(0));
        """,
    )
    faded = np.array(rendered)
    assert faded[11025] < 0.01
    assert abs(np.diff(faded)).max() < 0.01
    assert faded[10000] == faded[12000] == 1


def test_keys_play_choose_and_seek(listening) -> None:
    from selenium.webdriver.common.keys import Keys

    body = listening.find_element("tag name", "body")
    body.send_keys("2")
    names = listening.execute_script("return audible().map(([key, name]) => name)")
    assert names[:2] == ["mixture", "reference"]
    assert names[2] == "oracle-irm"
    heard = "return clip.sources.find((one) => one.key === player.heard).name"
    assert listening.execute_script(heard) == "oracle-irm"
    body.send_keys(Keys.ARROW_RIGHT)
    assert listening.execute_script("return player.position()") == pytest.approx(1.0)
    body.send_keys("m")
    assert listening.execute_script("return player.matched") is False
    body.send_keys(" ")
    wait_for(listening, "return player.playing")
    body.send_keys(" ")
    wait_for(listening, "return !player.playing")


def test_pictures_of_the_sound_and_of_its_error(listening) -> None:
    listening.execute_script("select(clip.sources.find((one) => one.name === 'poor').key)")
    image = listening.find_element("id", "spectrogram")
    sound = image.get_attribute("src")
    choose(listening, "view", "error")
    assert image.get_attribute("alt") == "Spectrogram of the error of poor"
    assert image.get_attribute("src") not in ("", sound)
    wait_for(listening, "return document.getElementById('spectrogram').naturalWidth > 50")


def test_the_wave_shows_what_is_in_either_channel(listening) -> None:
    """The louder channel reaches half of the height, on whichever side it is."""
    height, drawn, left, right = listening.execute_script(
        """
        const canvas = document.getElementById("wave");
        const known = player.buffers[player.heard];
        const level = player.levels[player.heard];
        const pictures = [0, 1].map((side) => {
          const buffer = player.context.createBuffer(2, 9600, known.sampleRate);
          buffer.getChannelData(side).fill(0.5 / level);
          player.buffers[player.heard] = buffer;
          drawWave();
          return canvas.toDataURL();
        });
        const column = canvas.getContext("2d").getImageData(480, 0, 1, canvas.height).data;
        const drawn = column.filter((value, place) => place % 4 === 3 && value > 0).length;
        player.buffers[player.heard] = known;
        drawWave();
        return [canvas.height, drawn, ...pictures];
        """
    )
    assert left == right
    assert drawn == height // 4
