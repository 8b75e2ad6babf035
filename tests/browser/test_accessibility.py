"""axe-core's rules on every tab, and the page by keyboard alone."""

from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import expect

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page):
    """What axe-core finds in the whole page: rule, and the elements that break it."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    report = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
    assert len(report["passes"]) > 10, "axe-core did not look at the page"
    found = report["violations"]
    return [f"{v['id']}: {[' '.join(map(str, node['target'])) for node in v['nodes']][:4]}" for v in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page, scheme):
    page = open_page(color_scheme=scheme)
    page.locator("#example").click()
    expect(page.locator("#result .fer-box")).to_be_visible()
    page.locator(".fer-heat-switch").check()
    found = {"Photo": violations(page)}
    for tab in ("Webcam", "Video", "Many pictures", "About"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        found[tab] = violations(page)
    assert not any(found.values()), found


def test_the_keyboard_alone_is_enough(open_page):
    """From the first tab to a saved answer without a mouse."""
    page = open_page()
    page.get_by_role("tab", name="Photo").focus()
    for _ in range(25):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "example":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#result .fer-box")).to_be_visible()
    for _ in range(25):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className").startswith("fer-save"):
            break
    with page.expect_download():
        page.keyboard.press("Enter")
