"""Two fake cameras, neither of which shows a face: Chromium has only one that shows a file."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import FLAGS, chromium_path, expect_cameras


@pytest.fixture(scope="module")
def browser(playwright):
    flags = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=device-count=2"]
    chromium = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS + flags)
    yield chromium
    chromium.close()


def test_the_camera_before_is_off_when_another_is_chosen(open_noting_cameras):
    page = open_noting_cameras()
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#accept").click()
    choose = page.get_by_label("select input source")
    choose.click()
    page.get_by_label("select source").select_option(index=1)
    expect_cameras(page, "ended", "live")
    names = page.evaluate("streams.map(stream => stream.getTracks()[0].label)")
    assert names[0] != names[1], "the same camera again"
    page.evaluate("window.failing = 'NotReadableError'")
    choose.click()
    page.get_by_label("select source").select_option(index=0)
    expect_cameras(page, "ended", "ended", "live")  # the second again: the first was not to be had
    assert page.evaluate("streams[2].getTracks()[0].label") == names[1]
    page.get_by_label("select source").evaluate("select => select.blur()")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#live-result .fer-empty")).to_be_visible()  # its picture, which shows no face, was answered
