"""The page by keys, in the dark, on paper and on a phone, in a real browser; see browsers.py."""

import base64

import pytest
from browsers import (  # noqa: F401 - the fixtures: pytest finds them by name
    column,
    drawn,
    press,
    show_pages,
    sort_button,
    start_browser,
    until,
    write_pages,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# --- keys, colours, paper, phones


def test_everything_can_be_reached_with_keys(shown):
    browser = shown("small")
    press(browser, Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    press(browser, Keys.ENTER)
    assert browser.execute_script("return document.activeElement.id") == "main"
    head, button = sort_button(browser, "table-summary", "lr")
    browser.execute_script("arguments[0].focus()", button)
    press(browser, Keys.ENTER)
    until(lambda: head.get_attribute("aria-sort") == "ascending")
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(outline) == "solid"
    box = browser.find_element(By.CSS_SELECTOR, "#variant-list input")
    browser.execute_script("arguments[0].focus()", box)
    before = drawn(browser)
    press(browser, Keys.SPACE)
    assert abs(drawn(browser) - before) == 1
    opener = browser.find_element(By.CSS_SELECTOR, "#table-runs td.open button")
    browser.execute_script("arguments[0].focus()", opener)
    press(browser, Keys.ENTER)
    assert browser.find_elements(By.CSS_SELECTOR, "#table-runs .config")


NAMELESS = """
const named = (each) => each.getAttribute("aria-label") || each.getAttribute("aria-labelledby")
  || each.textContent.trim() || [...(each.labels || [])].some((label) => label.textContent.trim());
return [...document.querySelectorAll("button, select, input, a, img, [role=button], [tabindex]")]
  .filter((each) => each.id !== "main" && !(each.alt || named(each))).map((each) => each.outerHTML);
"""

CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
const ground = (each) => {
  for (let at = each; at; at = at.parentElement) {
    const found = parse(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] === 1) return found;
  }
  return [255, 255, 255];
};
const low = [];
for (const each of document.querySelectorAll("body *")) {
  const own = [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !each.offsetParent || each.closest("script, style, noscript, .disabled")) continue;
  const pair = [parse(getComputedStyle(each).color), ground(each)].map(light);
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  if (ratio < 4.5) low.push(each.className + " " + each.textContent.slice(0, 40) + " " + ratio);
}
return low;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["small", "list"])
def test_text_stands_out_in_light_and_dark(shown, name, scheme):
    browser = shown(name, scheme=scheme)
    browser.execute_script(
        "document.querySelectorAll('details').forEach((e) => { e.open = true; })"
    )
    assert browser.execute_script(CONTRAST) == []
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_everything_has_a_name_and_a_place(shown):
    browser = shown("large")
    assert browser.execute_script(NAMELESS) == []
    for mark in ("header", "nav", "main", "footer", "h1"):
        assert len(browser.find_elements(By.CSS_SELECTOR, f"body > {mark}, header > {mark}")) == 1
    tables = browser.find_elements(By.TAG_NAME, "table")
    assert all(table.find_elements(By.TAG_NAME, "caption") for table in tables)
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))


def test_a_wide_table_scrolls_inside_its_box(shown):
    browser = shown("small", 390)
    wide = "const box = document.querySelector('#table-against').closest('.dt-layout-table');"
    assert browser.execute_script(wide + "return box.scrollWidth > box.clientWidth")
    browser.execute_script(wide + "box.focus()")
    press(browser, Keys.ARROW_RIGHT)
    until(lambda: browser.execute_script(wide + "return box.scrollLeft > 0"))


def test_the_page_can_be_printed(shown, tmp_path):
    browser = shown("small", scheme="dark")
    told = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pdf = base64.b64decode(told["data"])
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 50_000
    (tmp_path / "page.pdf").write_bytes(pdf)
    assert not browser.find_elements(By.CSS_SELECTOR, ".printing")  # afterwards


def test_on_paper_everything_is_open_and_light(shown):
    browser = shown("large", scheme="dark")
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert len(column(browser, "table-runs", "run")) == 160
    assert not browser.find_elements(By.CSS_SELECTOR, "details:not([open])")
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(column(browser, "table-runs", "run")) == 25
