"""Headless Chromium, driven by selenium, and pages in it: for the tests of the page.

Needs Debian's packages chromium and chromium-driver; without them, the tests that import this are
skipped, and say so.
"""

import base64
import json
import shutil
import time
from datetime import datetime

import pytest
from pages import WEIRD, analysed, sweep_of

from cnnlab.report.page import Row, listing, page

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium: pip install selenium")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip(
        "NO BROWSER, THE PAGE IS NOT TESTED: apt-get install chromium chromium-driver",
        allow_module_level=True,
    )

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--hide-scrollbars", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


@pytest.fixture(scope="module", name="browser")
def start_browser(tmp_path_factory):
    """A browser of its own for the tests of a file."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    driver.get("about:blank")
    yield driver
    driver.quit()


@pytest.fixture(scope="module", name="pages")
def write_pages(tmp_path_factory):
    """A small page with everything, and a larger one with pages to turn."""
    folder = tmp_path_factory.mktemp("pages")
    fates = {4: ("diverged", "the loss is not finite"), 8: ("failed", "boom")}
    small = sweep_of(
        {"norm": ["none", "bn", WEIRD], "lr": [0.02, 0.1, 1e-05]}, fates=fates, question="Why?"
    )
    large = sweep_of({"norm": ["none", "bn"], "lr": [k / 1000 for k in range(1, 41)]}, seeds=2)
    single = sweep_of({}, seeds=1, epochs=1)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 4"><path d="M0 0h9v4z"/></svg>'
    for name, sweep in (("small", small), ("large", large), ("single", single)):
        (folder / f"{name}.html").write_text(page(analysed(sweep), {"grid.svg": svg}), "utf-8")
    rows = [
        Row("first", "Why?", "It helps.", {"done": 5}, datetime(2024, 5, 6), "small.html"),
        Row("second <b>", None, "It hurts.", {"done": 12, "failed": 1}, datetime(2023, 5, 6)),
    ]
    (folder / "list.html").write_text(listing(rows), "utf-8")
    return folder


@pytest.fixture(name="shown")
def show_pages(browser, pages):
    """Opens a page and waits until its scripts are through; afterwards, nothing went wrong."""

    def show(name, width=1280, scheme="light"):
        emulate(browser, width, scheme)
        browser.get((pages / f"{name}.html").as_uri())
        until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
        return browser

    browser.get_log("browser")
    browser.get_log("performance")
    yield show
    said = [entry["message"] for entry in browser.get_log("browser")]
    assert not said, said
    outside = [address for address in requests(browser) if not allowed(address)]
    assert not outside, outside


def emulate(browser, width=1280, scheme="light"):
    """A screen of a width, light or dark, on which nothing moves by itself."""
    media = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in media.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "that never came"
        time.sleep(0.02)


def requests(browser):
    """The addresses that were asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    wanted = "Network.requestWillBeSent"
    return [each["params"]["request"]["url"] for each in events if each["method"] == wanted]


def allowed(address):
    """Whether it is the page itself, inside it, or one of the pages that a browser opens with."""
    own = ("data:", "about:", "chrome")
    return address.startswith(own) or (address.startswith("file:") and ".html" in address)


def column(browser, table, head):
    """The texts of a table's column, as they are shown."""
    heads = [each.text for each in browser.find_elements(By.CSS_SELECTOR, f"#{table} thead th")]
    place = heads.index(head) + 1
    cells = browser.find_elements(By.CSS_SELECTOR, f"#{table} tbody td:nth-child({place})")
    return [cell.text for cell in cells]


def sort_button(browser, table, head):
    for each in browser.find_elements(By.CSS_SELECTOR, f"#{table} thead th"):
        if each.text == head:
            return each, each.find_element(By.CSS_SELECTOR, "[role=button]")
    raise AssertionError(head)


def screenshot(browser, path):
    told = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(told["data"]))
    return path.stat().st_size


def press(browser, *keys):
    browser.switch_to.active_element.send_keys(*keys)


def drawn(browser):
    """How many series are drawn, without the edges of bands."""
    told = "return cnnlab.viewer.plot.series.filter((each) => each.label !== undefined"
    return browser.execute_script(told + " && each.width === 2).length")
