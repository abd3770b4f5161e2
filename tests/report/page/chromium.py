"""What tests of the page in Chromium share: how to start it, and how to work the page."""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
DRIVER = shutil.which("chromedriver")
AXE = os.environ.get("SEPBENCH_AXE", "")

MARKS = [
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


def start(profile: Any) -> Any:
    """Return a driver of headless Chromium, with the logs of its console and its requests."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(20)
    driver.get("about:blank")  # The page for new tabs is made of requests.
    return driver


def wait_for(browser, script, seconds=15):
    end = time.monotonic() + seconds
    while not browser.execute_script(script):
        assert time.monotonic() < end, f"still not: {script}"
        time.sleep(0.03)


def see(browser, *names):
    """Scroll to pictures, one after another, and wait until each is drawn."""
    for name in names:
        browser.execute_script("document.getElementById(arguments[0]).scrollIntoView()", name)
        wait_for(browser, f"return document.querySelector('#{name} .main-svg') !== null")


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
