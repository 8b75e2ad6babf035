"""The webcam's tab, with a fake camera that shows a portrait."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import FLAGS, chromium_path


@pytest.fixture(scope="module")
def camera_film(portrait, tmp_path_factory):
    """A fake MJPEG for Chromium: JPEGs one after the other, the portrait wandering a little."""
    film = io.BytesIO()
    with Image.open(portrait) as face:
        face.thumbnail((480, 480))
        for step in range(12):
            frame = Image.new("RGB", (640, 480), (70, 80, 90))
            frame.paste(face, (110 + step, 0))
            frame.save(film, "JPEG", quality=90)
    path = tmp_path_factory.mktemp("camera") / "portrait.mjpeg"
    path.write_bytes(film.getvalue())
    return path


@pytest.fixture(scope="module")
def browser(playwright, camera_film):
    fake = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera_film}",
    ]
    chromium = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS + fake)
    yield chromium
    chromium.close()


def test_consent_comes_first_then_a_live_result_that_stops(open_page):
    page = open_page(permissions=["camera"])
    page.get_by_role("tab", name="Webcam").click()
    expect(page.locator("#notice")).to_contain_text("Art. 5(1)(f)")
    expect(page.locator("#camera")).to_have_count(0)
    page.locator("#accept").click()
    page.get_by_text("Click to Access Webcam").click()
    expect(page.locator("#camera video")).to_be_visible()
    posts = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)

    page.get_by_label("capture photo").click()
    expect(page.locator("#live-result .fer-bars").first.locator("tbody tr")).to_have_count(7)
    expect(page.locator("#fer-layer .fer-box").first).to_be_visible()
    expect(page.locator("#fer-layer .fer-tag").first).to_have_text(re.compile(r"^\d+ \w+ .*%$"))
    expect(page.locator("#live-result .fer-rate")).to_have_text(re.compile(r"[1-9]\d* pictures a second"))
    place = "(query) => { const r = document.querySelector(query).getBoundingClientRect(); return [r.left, r.right]; }"
    video, box = page.evaluate(place, "#camera video"), page.evaluate(place, "#fer-layer .fer-box")
    assert video[0] <= box[0] < box[1] <= video[1] + 1

    page.get_by_label("capture photo").click()
    page.wait_for_timeout(1500)
    before = len(posts)
    page.wait_for_timeout(1500)
    assert len(posts) == before, "pictures were sent after Stop"
