"""axe-core on every tab at both widths in both modes, the keyboard alone, motion, languages, a phone's width."""

import re

from playwright.sync_api import expect

from tests.browser.test_accessibility import (
    expect_the_chosen_to_differ_in_forced_colours,
    press_tab_until,
    violations,
)
from tests.static.conftest import show

TABS = ("Photo", "Webcam", "Model")


def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(visits, static_url):
    """With results on every tab; the page follows the system from light to dark while it is open."""
    page = visits.open(static_url, ready=False)
    page.locator("#example-1").click()
    expect(page.locator("#result .fer-box")).to_be_visible()
    page.locator("label[for=map-cam]").click()
    page.get_by_role("tab", name="Webcam").click()
    found = {"notice": violations(page)}
    page.locator("#accept").click()
    expect(page.locator(".fer-live .fer-bars").first).to_be_visible()
    for width in (1280, 390):
        for scheme in ("dark", "light"):
            page.set_viewport_size({"width": width, "height": 844})
            page.emulate_media(color_scheme=scheme)
            expect(page.locator("html.dark")).to_have_count(int(scheme == "dark"))
            background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            assert (int(re.search(r"\d+", background)[0]) < 100) == (scheme == "dark"), background
            for tab in TABS:
                page.get_by_role("tab", name=tab).click()
                found[tab, width, scheme] = violations(page)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (tab, width)
    assert not any(found.values()), found


def test_what_is_chosen_is_seen_in_forced_colours(page, two_faces):
    show(page, two_faces)
    expect_the_chosen_to_differ_in_forced_colours(page)


def test_the_keyboard_alone_is_enough(visits, static_url):
    page = visits.open(static_url, reduced_motion="reduce", locale="de-DE")
    expect(page.locator("#head h1")).to_have_text("Gesichtsausdruck")
    assert page.evaluate("document.documentElement.lang") == "de"
    press_tab_until(page, "e.role === 'tab'")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#accept")).to_be_visible()
    page.keyboard.press("Home")
    press_tab_until(page, "e.id === 'file'")
    assert page.evaluate("getComputedStyle(document.querySelector('#zone')).outlineStyle") != "none"
    press_tab_until(page, "e.id === 'example-1'")
    page.keyboard.press("Enter")
    expect(page.locator("#result .fer-box")).to_be_visible()
    expect(page.locator("#fer-announcer")).to_contain_text("Gesicht 1")
    assert page.locator("#result .fer-bar").first.evaluate("bar => getComputedStyle(bar).transitionDuration") == "0s"
    press_tab_until(page, "e.name === 'map'")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".fer-stage .fer-cam")).to_be_visible()
    for kind in ("png", "csv", "json"):
        press_tab_until(page, f"e.dataset.kind === '{kind}'")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", kind
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == f"faces.{kind}"
