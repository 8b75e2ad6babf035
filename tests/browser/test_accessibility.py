"""axe-core's rules on every tab with its results, at both widths, and the page by keyboard alone."""

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import expect

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
TABS = ("Photo", "Webcam", "Video", "Many pictures", "About")


def violations(page):
    """What axe-core finds in the whole page: rule, and the elements that break it."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    report = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
    assert len(report["passes"]) > 10, "axe-core did not look at the page"
    found = report["violations"]
    return [f"{v['id']}: {[' '.join(map(str, node['target'])) for node in v['nodes']][:4]}" for v in found]


def open_tab(page, name):
    """A click on the tab, or on its entry in the menu that takes what a narrow screen has no room for."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count() and tab.first.is_visible():
        tab.first.click()
    else:
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button").filter(has_text=name).click()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_beside_results(open_page, portrait, film, scheme, width):
    page = open_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.locator("#example").click()
    expect(page.locator("#result .fer-box")).to_be_visible()
    page.locator(".fer-heat-switch").check()
    found = {"Photo": violations(page)}
    open_tab(page, "Webcam")
    expect(page.locator("#accept")).to_be_visible()
    found["Webcam"] = violations(page)
    open_tab(page, "Video")
    page.locator("#video input[type=file]").set_input_files(str(film))
    page.locator("#run-video").click()
    expect(page.locator("#timeline section")).to_have_count(1)
    found["Video"] = violations(page)
    open_tab(page, "Many pictures")
    page.locator("#pictures input[type=file]").set_input_files([portrait, portrait])
    page.locator("#run-pictures").click()
    expect(page.locator("#gallery figure")).to_have_count(2)
    found["Many pictures"] = violations(page)
    open_tab(page, "About")
    expect(page.locator(".fer-about pre")).to_have_count(3)
    found["About"] = violations(page)
    assert not any(found.values()), found


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "fr-FR"])
def test_every_tab_can_be_reached_on_a_phone_and_fits(open_page, locale):
    page = open_page(viewport={"width": 390, "height": 844}, locale=locale)
    names = {
        "en": TABS,
        "de": ("Foto", "Webcam", "Video", "Viele Bilder", "Über das Modell"),
        "fr": ("Photo", "Webcam", "Vidéo", "Plusieurs images", "À propos"),
    }
    contents = ("#photo", "#accept", "#video", "#pictures", ".fer-about table")
    for name, content in zip(names[locale[:2]], contents, strict=True):
        open_tab(page, name)
        expect(page.locator(content).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.get_by_text("[object Object]").count() == 0, name


def press_tab_until(page, found):
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(f"(() => {{ const e = document.activeElement; return {found}; }})()"):
            return
    raise AssertionError(f"no tab stop with {found}")


def test_the_keyboard_alone_is_enough(open_page):
    """The whole way without a mouse: example, heat map, occlusion map, every file."""
    page = open_page()
    page.get_by_role("tab", name="Photo").focus()
    press_tab_until(page, "e.id === 'example'")
    page.keyboard.press("Enter")
    expect(page.locator("#result .fer-box")).to_be_visible()
    press_tab_until(page, "e.matches('.fer-occlude')")
    page.keyboard.press("Enter")
    expect(page.locator(".fer-crop .fer-heat rect")).to_have_count(64)
    expect(page.locator(".fer-occlude")).to_be_enabled()
    page.locator(".fer-occlude").focus()  # Chromium takes the focus from a button that is disabled for a while
    press_tab_until(page, "e.matches('.fer-heat-switch')")
    page.keyboard.press("Space")
    expect(page.locator(".fer-stage .fer-heat")).to_be_visible()
    for kind in ("png", "csv", "json"):
        press_tab_until(page, f"e.dataset.kind === '{kind}'")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"no sign of the focus on {kind}"
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == f"faces.{kind}"
