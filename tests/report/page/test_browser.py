"""The page in a real browser: headless Chromium, opened from disk as by double click."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from sepbench.report import ratings

from .conftest import LEVELS, NAMES, RATE

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
DRIVER = shutil.which("chromedriver")
AXE = os.environ.get("SEPBENCH_AXE", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="no Chromium: apt-get install chromium chromium-driver"
    ),
]

FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage
    --disable-background-networking --disable-component-update --disable-sync
    --autoplay-policy=no-user-gesture-required --window-size=1280,1000
""".split()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(20)
    driver.get("about:blank")  # The page for new tabs is made of requests.
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, page):
    """The page, opened again; at the end, nothing has been complained of or asked for."""
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(page.as_uri())
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    assert not browser.execute_script("return window.bad")
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = [
        entry["params"]["request"]["url"]
        for entry in asked
        if entry["method"] == "Network.requestWillBeSent"
    ]
    assert addresses, "the log of requests is empty"
    folder = page.parent.as_uri()
    assert [a for a in addresses if not a.startswith((folder, "data:", "blob:file"))] == []


@pytest.fixture
def listening(opened):
    """The page with the vocals of one song loaded."""
    wait_for(opened, "return typeof Plotly === 'object'")
    place = opened.execute_script(
        "return run.listen.findIndex((one) => one.stem === 'vocals' && one.track === arguments[0])",
        NAMES[0],
    )
    choose(opened, "clip", str(place))
    wait_for(opened, "return !document.getElementById('player').hidden")
    return opened


def wait_for(browser, script, seconds=15):
    end = time.monotonic() + seconds
    while not browser.execute_script(script):
        assert time.monotonic() < end, f"still not: {script}"
        time.sleep(0.03)


def choose(browser, name, value):
    browser.execute_script(
        "const node = document.getElementById(arguments[0]);"
        "node.value = arguments[1];"
        "node.dispatchEvent(new Event(node.type === 'search' ? 'input' : 'change'))",
        name,
        value,
    )


def column(browser, index):
    cells = browser.execute_script(
        "return [...document.querySelectorAll('#table tbody tr')]"
        ".map((row) => row.cells[arguments[0]].firstChild?.textContent ?? '')",
        index,
    )
    return [cell.replace("−", "-") for cell in cells]


def count(browser, selector):
    return browser.execute_script("return document.querySelectorAll(arguments[0]).length", selector)


def run_async(browser, body, *values):
    """Run the body of an asynchronous function in the page and return what it returns."""
    script = (
        "const done = arguments[arguments.length - 1];"
        f"const made = (async (...values) => {{ {body} }})(...arguments);"
        "made.then(done, (error) => done(String(error)))"
    )
    return browser.execute_async_script(script, *values)


def test_the_table_is_sorted_filtered_and_shown_for_each_stem(opened) -> None:
    names = column(opened, 0)
    assert {name.rstrip(" *") for name in names} == set(LEVELS)
    vocals = [float(value) for value in column(opened, 1)]
    assert vocals == sorted(vocals, reverse=True)
    button = "document.querySelector('#table [data-column=\"vocals\"]')"
    opened.execute_script(f"{button}.click()")
    assert [float(value) for value in column(opened, 1)] == sorted(vocals)
    assert opened.execute_script(f"return {button}.closest('th').ariaSort") == "ascending"
    assert opened.execute_script(f"return document.activeElement === {button}")
    choose(opened, "filter", "GOO")
    assert column(opened, 0) == ["good"]
    choose(opened, "filter", "")
    opened.execute_script("document.getElementById('oracles').click()")
    assert "oracle-irm *" not in column(opened, 0)
    choose(opened, "protocol", "sisec18")
    assert "median over windows" in opened.find_element("id", "caption").text
    assert [float(value) for value in column(opened, 1)] == [1.0] * 3


def test_a_bold_score_is_the_best_and_every_score_has_its_interval(opened) -> None:
    marked = opened.execute_script(
        "return [...document.querySelectorAll('#table .best')].map((cell) => "
        "[cell.parentElement.cells[0].firstChild.textContent,"
        " cell.querySelector('.range').textContent])"
    )
    assert [name for name, _ in marked] == ["good", "good"]
    assert all(" to " in span for _, span in marked)


def test_details_say_where_a_score_comes_from(opened) -> None:
    opened.execute_script("document.querySelector('[aria-label=\"Details of good\"]').click()")
    assert opened.execute_script("return document.getElementById('details').open")
    text = opened.find_element("id", "details-body").text
    assert "a" * 64 in text
    assert "trained on" in text


def test_downloads_hold_the_numbers_and_no_formula(opened) -> None:
    rows = list(csv.DictReader(io.StringIO(opened.execute_script("return scoresCsv()"))))
    assert {row["track"] for row in rows} == set(NAMES)
    table = opened.execute_script("return tableCsv()").splitlines()
    assert table[0].startswith("method,vocals,vocals low,vocals high")
    assert opened.execute_script("return csv([['=1+1', -2, 'a,\"b']])") == '\'=1+1,-2,"a,""b"\n'


def test_pictures_show_every_method_and_track_by_name(opened) -> None:
    wait_for(opened, "return document.querySelectorAll('#heatmap .xtick').length > 0")
    assert count(opened, "#boxplot .trace.boxes") == len(LEVELS)
    shown = opened.execute_script(
        "return [...document.querySelectorAll('#heatmap .xtick text')]"
        ".map((one) => one.textContent)"
    )
    for name in NAMES:
        assert any(text.rstrip("…") == name[: len(text.rstrip("…"))] for text in shown), name
    assert count(opened, "#pictures script, #pictures b") == 0
    assert count(opened, "#cost .point") == len(LEVELS)


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


def test_blind_ratings_hide_names_and_come_back_as_json(listening, made_run, tmp_path) -> None:
    orders = [
        listening.execute_script(
            "beginBlind(); const keys = Object.keys(disguise); endBlind(); return keys"
        )
        for _ in range(8)
    ]
    assert len({tuple(order) for order in orders}) > 1, "the order is the same each time"
    assert len(orders[0]) == 5, "three methods, the hidden reference and the anchor"
    listening.execute_script("document.getElementById('blind').click()")
    shown = listening.find_element("id", "listen").text
    assert not any(name in shown for name in ("good", "poor", "oracle"))
    listening.execute_script("document.querySelector('#ratings button[type=submit]').click()")
    assert "Not rated yet" in listening.find_element("id", "revealed").text
    wanted = {"reference": 100, "anchor": 5, "good": 80, "poor": 20, "<b onclick=bad()>[x=1]": 50}
    listening.execute_script(
        """
        for (const slider of document.querySelectorAll('#sliders input')) {
          const source = clip.sources.find((one) => slider.dataset.key === `${one.key}/hidden`);
          slider.value = arguments[0][source.name];
          slider.dispatchEvent(new Event('input'));
        }
        document.querySelector('#ratings button[type=submit]').click();
        """,
        wanted,
    )
    assert "was good: 80" in listening.find_element("id", "revealed").text
    browser_file = download(listening, "export", tmp_path)
    ratings.add(browser_file, tmp_path)
    table = ratings.table(tmp_path)
    assert dict(zip(table["source"], table["rating"], strict=True)) == wanted
    assert set(table["track"]) == {NAMES[0]}
    # Another visit still knows them.
    listening.refresh()
    assert "excerpts rated: 1" in listening.find_element("id", "kept").text
    listening.execute_script(
        "window.confirm = () => true; document.getElementById('forget').click()"
    )
    assert listening.execute_script("return kept.ratings.length") == 0


def download(browser, button, folder: Path) -> Path:
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
    )
    browser.execute_script("document.getElementById(arguments[0]).click()", button)
    end = time.monotonic() + 10
    while not (files := list(folder.glob("*.json"))):
        assert time.monotonic() < end, "nothing was downloaded"
        time.sleep(0.05)
    return files[0]


def test_abx_counts_right_answers_and_says_what_guessing_does(listening) -> None:
    listening.execute_script("document.getElementById('abx-start').click()")
    for _ in range(5):
        listening.execute_script("answerAbx(abx.x)")
    assert (
        "5 of 5 right; guessing does as well in 3.1 %"
        in listening.find_element("id", "abx-result").text
    )
    assert listening.execute_script("return chance(9, 10)") == pytest.approx(11 / 1024)
    draws = listening.execute_script("return Array.from({length: 400}, () => randomBelow(3))")
    assert set(draws) == {0, 1, 2}
    listening.execute_script("kept.abx = []; keep()")


def test_the_page_asks_for_nothing_and_would_not_get_it(opened) -> None:
    said = run_async(
        opened,
        "return fetch('https://example.org/').then(() => 'fetched', () => 'refused')",
    )
    assert said == "refused"
    ran = opened.execute_script(
        "const script = document.createElement('script');"
        "script.textContent = 'window.injected = 1';"
        "document.body.append(script); return window.injected ?? 'refused'"
    )
    assert ran == "refused"
    # Both refusals are written to the console; that is what was to be seen.
    assert len(opened.get_log("browser")) >= 2
    opened.get_log("performance")
    opened.refresh()


@pytest.mark.skipif(
    not AXE, reason="no axe-core: npm install axe-core, SEPBENCH_AXE=.../axe.min.js"
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_fault(listening, scheme) -> None:
    listening.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    listening.execute_script("beginBlind(); document.getElementById('abx').hidden = false")
    listening.execute_script(Path(AXE).read_text(encoding="utf-8"))
    found = run_async(listening, "return (await axe.run(document)).violations")
    serious = [
        (one["id"], [node["html"][:200] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    listening.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert serious == []
