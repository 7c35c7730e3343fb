"""The page in a real browser: tables, curves, nothing from outside; see browsers.py."""

import time

import numpy as np
import pytest
from browsers import (  # noqa: F401 - the fixtures: pytest finds them by name
    allowed,
    column,
    drawn,
    emulate,
    requests,
    screenshot,
    show_pages,
    sort_button,
    start_browser,
    until,
    write_pages,
)
from pages import WEIRD, analysed, sweep_of
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from cnnlab.report.page import page
from cnnlab.report.plots import pictures

# --- what is shown


def test_a_request_that_leaves_would_be_seen(browser, shown):
    shown("small")
    assert all(map(allowed, requests(browser)))
    browser.execute_script("new Image().src = 'https://example.org/x.png'")
    until(
        lambda: any(
            "Content Security Policy" in each["message"] for each in browser.get_log("browser")
        )
    )
    assert "https://example.org/x.png" in requests(browser)  # was tried, and refused


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("small", 1280),
        ("small", 390),
        ("large", 390),
        ("single", 390),
        ("list", 1280),
        ("list", 390),
    ],
)
def test_nothing_is_wider_than_the_screen(shown, tmp_path, name, width):
    browser = shown(name, width)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    assert screenshot(browser, tmp_path / f"{name}-{width}.png") > 10_000


def test_scripts_show_what_the_file_holds_for_readers_without_them(browser, shown):
    shown("small")
    for button in browser.find_elements(By.CSS_SELECTOR, "button.fold"):
        if button.is_displayed():
            button.click()
    rows = "return [...document.querySelectorAll('#summary tbody tr, #effects tbody tr, #simple"
    rows += " tbody tr, #against tbody tr')].map((row) => row.textContent.replace(/\\s+/g, ' '))"
    live = browser.execute_script(rows)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        assert [row.strip() for row in browser.execute_script(rows)] == [
            row.strip() for row in live
        ]
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


LETTERS = """
return [...document.querySelectorAll(".picture img")].map((image) => {
  const code = atob(image.src.split(",")[1]);
  const sizes = [...code.matchAll(/font-size: ([\\d.]+)px/g)].map((found) => Number(found[1]));
  const [, units] = code.match(/viewBox="0 0 ([\\d.]+)/);
  const unit = image.getBoundingClientRect().width / Number(units);
  const box = image.parentElement;
  return { pixels: Math.min(...sizes) * unit, wider: box.scrollWidth > box.clientWidth,
    faded: box.classList.contains("more-right"), reached: box.tabIndex === 0 };
});
"""


def test_letters_of_pictures_can_be_read_at_each_width(browser, shown, pages):
    """10 pixels at least; what is wider than the screen scrolls, and shows that it does."""
    found = analysed(sweep_of({"norm": ["none", "bn"], "lr": [0.02, 0.1]}, seeds=2))
    drawn = {name: code for name, code in pictures(found).items() if name.endswith(".svg")}
    (pages / "drawn.html").write_text(page(found, drawn), "utf-8")
    for width in (1280, 390):
        shown("drawn", width)
        until(lambda: all(each["pixels"] > 0 for each in browser.execute_script(LETTERS)))
        told = browser.execute_script(LETTERS)
        assert len(told) == len(drawn) >= 5
        assert min(each["pixels"] for each in told) >= 9.9
        assert all(each["wider"] == each["faded"] == each["reached"] for each in told)
        assert any(each["wider"] for each in told) == (width == 390)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_weird_text_is_shown_as_it_is(shown):
    browser = shown("small")
    shown_ = browser.execute_script("return document.querySelector('#table-against').textContent")
    assert WEIRD in shown_
    names = browser.execute_script("return document.querySelector('#variant-list').textContent")
    assert f"norm={WEIRD}" in names


# --- tables


def test_a_table_sorts_by_its_heads_in_both_directions(shown):
    browser = shown("small")
    head, button = sort_button(browser, "table-summary", "lr")
    button.click()
    until(lambda: head.get_attribute("aria-sort") == "ascending")
    rates = column(browser, "table-summary", "lr")
    assert rates == ["1e-5"] * 3 + ["0.02"] * 3 + ["0.1"] * 3  # numbers, not words
    button.click()
    until(lambda: head.get_attribute("aria-sort") == "descending")
    assert column(browser, "table-summary", "lr")[0] == "0.1"
    head, button = sort_button(browser, "table-summary", "mean")
    button.click()
    until(lambda: head.get_attribute("aria-sort") == "ascending")
    means = [float(each.split()[-1]) for each in column(browser, "table-summary", "mean")]
    assert means == sorted(means)


def test_a_table_filters_by_words_and_by_verdict(shown):
    browser = shown("small")
    box = browser.find_element(By.CSS_SELECTOR, "#against input[type=search]")
    box.send_keys("bn")
    assert column(browser, "table-against", "norm") == ["bn"] * 3
    assert "3 rows (filtered from 8)" in browser.find_element(By.ID, "against").text
    box.clear()
    box.send_keys(" ")
    verdicts = column(browser, "table-against", "verdict")
    choice = Select(browser.find_element(By.CSS_SELECTOR, "#against select"))
    words = [option.text for option in choice.options][1:]
    assert sorted(words) == sorted({each.split("\n")[0] for each in verdicts})
    choice.select_by_visible_text(words[0])
    kept = column(browser, "table-against", "verdict")
    assert len(kept) == sum(each.split("\n")[0] == words[0] for each in verdicts)


def test_columns_of_detail_fold_away_where_they_have_no_room_and_come_back(shown):
    browser = shown("small", 390)
    heads = (
        "return [...document.querySelectorAll('#table-summary thead th')].map((e) => e.innerText)"
    )
    few = ["norm", "lr", "mean", "95% interval", "seeds", "missing", "last epoch"]
    assert browser.execute_script(heads) == few
    button = browser.find_element(By.CSS_SELECTOR, "#summary button.fold")
    assert button.text == "4 more columns"
    box = browser.find_element(By.CSS_SELECTOR, "#summary .dt-layout-table")
    assert (box.get_attribute("tabindex"), box.get_attribute("aria-label")) == (
        "0",
        "Table: Variants",
    )
    assert "more-right" in box.get_attribute("class")
    button.click()
    every = [*few[:-1], "std", "best", "shrunk", few[-1], "seconds a run"]
    assert browser.execute_script(heads) == every
    browser.execute_script("arguments[0].scrollLeft = 1e6", box)
    until(lambda: "more-right" not in box.get_attribute("class"))
    assert "more-left" in box.get_attribute("class")
    assert button.text == "Fewer columns"
    button.click()
    assert browser.execute_script(heads) == few
    emulate(browser, 1280)
    until(lambda: browser.execute_script(heads) == every)
    until(lambda: box.get_attribute("tabindex") is None)


def test_long_tables_have_pages(shown):
    browser = shown("large")
    assert len(column(browser, "table-runs", "run")) == 25
    assert "1 to 25 of 160" in browser.find_element(By.ID, "runs").text
    browser.find_element(By.CSS_SELECTOR, "#runs button[aria-label=Last]").click()
    assert len(column(browser, "table-runs", "run")) == 10


def test_a_run_opens_its_whole_configuration(shown):
    browser = shown("small")
    status = Select(browser.find_element(By.CSS_SELECTOR, "#runs select"))
    status.select_by_visible_text("failed")
    assert column(browser, "table-runs", "status") == ["failed"]
    button = browser.find_element(By.CSS_SELECTOR, "#table-runs td.open button")
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    told = browser.find_element(By.CSS_SELECTOR, "#table-runs .config").text
    for words in ("boom", "Record: run-8-", "lr\n1e-5", "norm\nnone", "seed\n2", "epochs\n4"):
        assert words in told
    button.click()
    assert not browser.find_elements(By.CSS_SELECTOR, "#table-runs .config")


# --- curves


def test_curves_are_switched_on_and_off(shown):
    browser = shown("small")
    assert drawn(browser) == 8
    boxes = browser.find_elements(By.CSS_SELECTOR, "#variant-list input")
    off = next(box for box in boxes if box.is_selected())
    off.click()
    assert drawn(browser) == 7
    browser.find_element(By.CSS_SELECTOR, "input[value=train]").click()
    assert drawn(browser) == 14
    browser.find_element(By.CSS_SELECTOR, "input[value=loss]").click()
    label = browser.find_element(By.ID, "plot").get_attribute("aria-label")
    assert "validation and training loss by epoch; 7 of 9 variants" in label
    browser.find_element(By.ID, "variants-none").click()
    assert drawn(browser) == 0
    browser.find_element(By.ID, "variant-filter").send_keys("norm=bn")
    assert sum(box.is_displayed() for box in boxes) == 3
    browser.find_element(By.ID, "variants-found").click()
    assert drawn(browser) == 6


def test_every_variant_of_the_legend_has_a_line_a_point_or_says_that_it_has_none(shown, pages):
    lost = dict.fromkeys(range(3, 9), ("diverged", "x"))  # all of lr=2 and lr=3: one epoch each
    sweep = sweep_of({"lr": [1, 2, 3]}, fates=lost)
    sweep.epochs.loc[sweep.epochs["lr"] == 3, ["train_loss", "val_loss"]] = np.inf
    sweep.epochs.loc[sweep.epochs["lr"] == 3, ["train_accuracy", "val_accuracy"]] = np.nan
    (pages / "lost.html").write_text(page(analysed(sweep), {}), "utf-8")
    browser = shown("lost")
    legend = browser.find_element(By.ID, "variant-list").text.split("\n")
    assert legend == ["lr=1", "lr=2", "3 diverged", "lr=3", "no curve", "3 diverged"]
    boxes = browser.find_elements(By.CSS_SELECTOR, "#variant-list input")
    assert [box.is_enabled() for box in boxes] == [True, True, False]
    ink = """const plot = cnnlab.viewer.plot, { left, top, width, height } = plot.bbox;
      const found = plot.ctx.getImageData(left - 9, top, width + 18, height).data;
      // The first curve is blue; axes and their words are grey.
      return found.filter((red, k) => k % 4 === 0 && found[k + 2] - red > 60).length"""
    browser.find_element(By.ID, "variants-none").click()
    assert browser.execute_script(ink) == 0
    boxes[1].click()
    assert browser.execute_script(ink) > 10


def test_the_slider_reads_the_curves_out(shown):
    browser = shown("small")
    slider = browser.find_element(By.ID, "epoch")
    table = browser.find_element(By.ID, "readout")
    assert "Values at epoch 4" in table.text
    slider.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert slider.get_attribute("aria-valuetext") == "epoch 2"
    assert "Values at epoch 2" in table.text
    lines = "const {mean} = cnnlab.lines(cnnlab.viewer.data, 'val', 'accuracy', 8); return mean"
    assert f"{browser.execute_script(lines)[1]:.4f}" in table.text


# --- the list, and large sweeps


def test_the_list_of_sweeps_sorts_and_leads_to_reports(shown):
    browser = shown("list")
    sort_button(browser, "sweeps", "newest record")[1].click()
    told = "return [...document.querySelectorAll('#sweeps tbody th')].map((e) => e.textContent)"
    until(lambda: browser.execute_script(told) == ["second <b>", "first"])
    browser.find_element(By.LINK_TEXT, "first").click()
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    assert browser.find_element(By.TAG_NAME, "h1").text == "made"


@pytest.mark.slow
def test_ten_thousand_runs_are_ready_in_seconds(browser, tmp_path):
    rates = [k / 1000 for k in range(1, 101)]
    sweep = sweep_of(
        {"norm": ["none", "bn"], "activation": list("abcde"), "lr": rates}, seeds=10, epochs=30
    )
    path = tmp_path / "page.html"
    path.write_text(page(analysed(sweep), {}), "utf-8")
    assert path.stat().st_size < 5e6
    emulate(browser)
    begun = time.monotonic()
    browser.get(path.as_uri())
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    assert time.monotonic() - begun < 10
    begun = time.monotonic()
    sort_button(browser, "table-runs", "result")[1].click()
    browser.find_element(By.ID, "variants-found").click()  # all 1,000 curves at once
    assert time.monotonic() - begun < 10
