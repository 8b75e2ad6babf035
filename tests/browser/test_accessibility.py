"""axe-core's rules on every tab with its results, at both widths, and the page by keyboard alone."""

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import expect

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
TABS = {
    "en": ("Photo", "Webcam", "Video", "Album", "Model"),
    "de": ("Foto", "Webcam", "Video", "Album", "Modell"),
    "fr": ("Photo", "Webcam", "Vidéo", "Album", "Modèle"),
}
SETTLED = """() => !document.querySelector('.pending') && document.getAnimations().every(
  ({ playState, effect }) => playState !== 'running' || effect.getTiming().iterations === Infinity)"""

CANVAS = """() => {
  document.body.style.color = "Canvas";
  const { color } = getComputedStyle(document.body);
  document.body.style.color = "";
  return color;
}"""


def violations(page):
    """What axe-core finds in the whole page: rule, and the elements that break it."""
    page.wait_for_function(SETTLED)  # what fades in, or is still pending (Gradio dims it), has too little contrast
    page.evaluate(AXE.read_text(encoding="utf-8"))
    report = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
    assert len(report["passes"]) > 10, "axe-core did not look at the page"
    found = report["violations"]
    return [f"{v['id']}: {[' '.join(map(str, node['target'])) for node in v['nodes']][:4]}" for v in found]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_beside_results(open_page, portrait, film, scheme, width):
    page = open_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.locator("#example").click()
    expect(page.locator("#result .fer-box")).to_be_visible()
    page.get_by_text("Heat map", exact=True).click()
    found = {"Photo": violations(page)}
    page.get_by_role("tab", name="Webcam").click()
    expect(page.locator("#accept")).to_be_visible()
    found["Webcam"] = violations(page)
    page.get_by_role("tab", name="Video").click()
    page.locator("#video input[type=file]").set_input_files(str(film))
    page.locator("#run-video").click()
    expect(page.locator("#timeline section")).to_have_count(1)
    found["Video"] = violations(page)
    page.get_by_role("tab", name="Album").click()
    page.locator("#pictures input[type=file]").set_input_files([portrait, portrait])
    page.locator("#run-pictures").click()
    expect(page.locator("#gallery figure")).to_have_count(2)
    found["Album"] = violations(page)
    page.get_by_role("tab", name="Model").click()
    expect(page.locator(".fer-about pre")).to_have_count(3)
    found["Model"] = violations(page)
    assert not any(found.values()), found


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "fr-FR"])
def test_every_tab_can_be_reached_on_a_phone_and_fits(open_page, locale):
    page = open_page(viewport={"width": 390, "height": 844}, locale=locale)
    contents = ("#photo", "#accept", "#video", "#pictures", ".fer-about table")
    for name, content in zip(TABS[locale[:2]], contents, strict=True):
        page.get_by_role("tab", name=name, exact=True).click()  # all five have room, none is in a menu
        expect(page.locator(content).first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        rights = page.locator(".fer-card, .fer-empty, .fer-notice").evaluate_all(
            "parts => parts.map(part => part.getBoundingClientRect().right)"
        )
        assert rights and max(rights) <= 390, name
        assert page.get_by_text("[object Object]").count() == 0, name


def expect_the_chosen_to_differ_in_forced_colours(page):
    """Of either page, which shows two faces: which face and which map is chosen, and how long the bars are."""
    expect(page.locator("#result .fer-box")).to_have_count(2)
    page.emulate_media(forced_colors="active")
    background = "element => getComputedStyle(element).backgroundColor"
    unseen = (page.evaluate(CANVAS), "rgba(0, 0, 0, 0)")
    for filled in (".fer-faces input:checked + label", ".fer-maps input:checked + label", ".fer-bar:visible"):
        assert page.locator(filled).first.evaluate(background) not in unseen, filled
    outline = "all => all.map((box) => getComputedStyle(box).outlineStyle)"
    outlines = page.locator("#result .fer-box").evaluate_all(outline)
    assert outlines == ["solid", "none"], "which of the boxes is chosen"
    page.emulate_media(forced_colors="none")


def test_what_is_chosen_is_seen_in_forced_colours(open_page, two_faces):
    page = open_page()
    page.locator("#photo input[type=file]").first.set_input_files(str(two_faces))
    expect_the_chosen_to_differ_in_forced_colours(page)


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
    press_tab_until(page, "e.matches('.fer-maps input')")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".fer-stage .fer-cam")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".fer-stage .fer-occlusion rect")).to_have_count(64)
    for kind in ("png", "csv", "json"):
        press_tab_until(page, f"e.dataset.kind === '{kind}'")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"no sign of the focus on {kind}"
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == f"faces.{kind}"
