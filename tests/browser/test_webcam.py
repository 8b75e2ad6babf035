"""The webcam's tab, with a fake camera that shows a portrait."""

import re
import time

import pytest
from playwright.sync_api import expect

from space.text import say
from tests.browser.conftest import PATIENCE_SECONDS, expect_cameras, launch_with_camera

FREED_SECONDS = PATIENCE_SECONDS  # of a turn of 900: from a closed tab to the next person's first result
FRAME_BYTES = 250_000  # most for one posted picture of 640 x 480
ANSWER_BYTES = 60_000  # most for what comes back for it: numbers and a curve, never a picture

# A camera that fails with the error NAME; Gradio does not catch it.
NO_CAMERA = """
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NAME"));
  addEventListener("unhandledrejection", (event) => event.preventDefault());
"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def app_url(serve_app):
    """One place at the camera, and a turn so long that only a closed tab can end it."""
    return serve_app(FER_LIMIT_STREAMS="1", FER_LIMIT_STREAM_SECONDS="900")


@pytest.fixture(scope="module")
def browser(playwright, portrait, tmp_path_factory):
    chromium = launch_with_camera(playwright, portrait, 20, tmp_path_factory.mktemp("camera"))
    yield chromium
    chromium.close()


def test_consent_comes_first_then_a_live_result_that_stops(open_page):
    page = open_page(permissions=["camera"])
    page.get_by_role("tab", name="Webcam").click()
    expect(page.locator("#notice")).to_contain_text("Art. 5(1)(f)")
    expect(page.locator("#camera")).to_have_count(0)
    posts = []
    page.on("request", lambda request: posts.append(request.url) if "/stream/" in request.url else None)
    page.locator("#accept").press("Enter")
    expect(page.locator("#camera video")).to_be_visible()
    expect(page.locator("#camera .capture-button")).to_be_focused()  # the notice's button has gone
    page.wait_for_timeout(1000)
    assert not posts, "pictures were sent before Start"

    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#live-result .fer-bars").first.locator("tbody tr")).to_have_count(7)
    expect(page.locator("#fer-layer .fer-box").first).to_be_visible()
    expect(page.locator("#fer-layer .fer-tag").first).to_have_text(re.compile(r"^\d+ \w+ .*%$"))
    expect(page.locator("#live-result .fer-rate")).to_have_text(re.compile(r"[1-9]\d* pictures a second"))
    expect(page.locator("#fer-announcer")).to_contain_text("%")
    place = "(query) => { const r = document.querySelector(query).getBoundingClientRect(); return [r.left, r.right]; }"
    video, box = page.evaluate(place, "#camera video"), page.evaluate(place, "#fer-layer .fer-box")
    assert video[0] <= box[0] < box[1] <= video[1] + 1

    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#fer-layer .fer-box")).to_have_count(0)
    assert quiet(page, posts), "pictures were sent after Stop"


def quiet(page, posts, seconds=1.5):
    """Do the `posts` end? On a slow machine the last ones may come a while after Stop."""
    deadline = time.monotonic() + PATIENCE_SECONDS / 2
    while time.monotonic() < deadline:
        before = len(posts)
        page.wait_for_timeout(1000 * seconds)
        if len(posts) == before:
            return True
    return False


def test_leaving_the_tab_stops_it(open_page):
    page = open_page(permissions=["camera"])
    posts = []
    page.on("request", lambda request: posts.append(request.url) if "/stream/" in request.url else None)
    start_stream(page)
    expect(page.locator("#live-result .fer-bars").first).to_be_visible()
    page.get_by_role("tab", name="Photo").click()
    assert posts and quiet(page, posts), "pictures were sent from a tab that nobody saw"
    page.get_by_role("tab", name="Webcam").click()
    start = page.get_by_role("button", name="Start", exact=True)
    start.click()
    expect(page.locator("#fer-layer .fer-box").first).to_be_visible()
    page.evaluate(HIDE, True)
    expect(start).to_be_visible()
    expect(page.locator("#fer-layer .fer-box")).to_have_count(0)


def expect_answers(page):
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#fer-layer .fer-box").first).to_be_visible()


def test_the_camera_is_off_while_nobody_sees_its_picture(open_noting_cameras):
    page = open_noting_cameras()
    start_stream(page)
    expect(page.locator("#fer-layer .fer-box").first).to_be_visible()
    expect_cameras(page, "live")
    page.get_by_role("tab", name="Photo").click()
    expect_cameras(page, "ended")
    page.get_by_role("tab", name="Webcam").click()
    expect_cameras(page, "ended", "live")
    expect_answers(page)
    page.evaluate(HIDE, True)
    expect_cameras(page, "ended", "ended")
    page.evaluate(HIDE, False)
    expect_cameras(page, "ended", "ended", "live")
    expect_answers(page)


def test_a_camera_that_does_not_come_back_gets_a_sentence_and_another_try(open_noting_cameras):
    page = open_noting_cameras()
    start_stream(page)
    page.get_by_role("tab", name="Photo").click()
    expect_cameras(page, "ended")
    page.evaluate("window.failing = 'NotReadableError'")
    page.get_by_role("tab", name="Webcam").click()
    again = page.get_by_role("button", name=say("en", "camera_missing"))
    expect(again).to_be_visible()
    expect(page.locator("#fer-announcer")).to_have_text(say("en", "camera_missing"))
    expect(page.locator("#camera .capture-button")).to_be_hidden()
    again.click()
    expect_cameras(page, "ended", "live")
    expect(again).to_have_count(0)
    expect_answers(page)


def test_a_camera_that_the_queue_refuses_can_be_started_again(open_page):
    page = open_page(permissions=["camera"])
    joins = re.compile("/queue/join")
    page.route(joins, lambda route: route.fulfill(status=429, json={"detail": say("en", "busy")}))
    start_stream(page)
    expect(page.get_by_test_id("toast-text")).to_have_text(say("en", "busy"))
    start = page.get_by_role("button", name="Start", exact=True)
    expect(start).to_be_visible()
    page.unroute(joins)
    start.click()
    expect(page.locator("#fer-layer .fer-box").first).to_be_visible()


@pytest.mark.parametrize(
    "error, sentence", [("NotAllowedError", "camera_refused"), ("NotReadableError", "camera_missing")]
)
def test_a_camera_that_does_not_start_gets_a_sentence(open_page, error, sentence):
    page = open_page()
    page.add_init_script(NO_CAMERA.replace("NAME", error))
    page.reload()
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#accept").press("Enter")
    again = page.get_by_role("button", name=say("en", sentence))
    expect(again).to_be_focused()
    expect(page.locator("#fer-announcer")).to_have_text(say("en", sentence))


def test_no_camera_starts_on_the_photo_tab_before_the_notice_and_none_behind_it(open_noting_cameras):
    page = open_noting_cameras()
    page.get_by_role("tab", name="Webcam").click()  # the notice is there now, also where it is not seen
    expect(page.locator("#accept")).to_be_visible()
    page.get_by_role("tab", name="Photo").click()
    page.get_by_label("Capture from camera").click()
    dialog = page.get_by_role("dialog")
    offer = page.get_by_title("Allow the camera")
    offer.click()
    expect(dialog).to_contain_text("Art. 5(1)(f)")
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("#photo video")).to_be_hidden()
    offer.click()
    dialog.get_by_role("button", name="I have read this").click()
    expect(page.locator("#photo video")).to_be_visible()
    page.get_by_label("capture photo").click()
    expect(page.locator("#result .fer-box")).to_have_count(1)
    expect(page.locator("#camera")).to_have_count(0)
    expect_cameras(page, "ended")
    page.get_by_role("tab", name="Webcam").click()  # read once is read
    expect(page.locator("#camera video")).to_be_visible()
    expect_cameras(page, "ended", "live")


def start_stream(page):
    page.get_by_role("tab", name="Webcam").click()
    page.locator("#accept").click()
    expect(page.locator("#camera video")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()


def test_a_closed_tab_frees_its_place_within_seconds(open_page):
    first = open_page(permissions=["camera"])
    start_stream(first)
    expect(first.locator("#live-result .fer-bars").first).to_be_visible()
    second = open_page(permissions=["camera"])
    start_stream(second)
    second.wait_for_timeout(3000)
    assert second.locator("#live-result .fer-live").count() == 0, "there was more than one place"
    closed = time.monotonic()
    first.close()
    expect(second.locator("#live-result .fer-bars").first).to_be_visible()
    assert time.monotonic() - closed < FREED_SECONDS


def test_a_frame_is_small_both_ways(open_page):
    page = open_page(permissions=["camera"])
    posted, answers = [], []

    def note(request):
        if request.method == "POST" and "/stream/" in request.url:
            posted.append(len(request.post_data_buffer or b""))

    page.on("request", note)
    start_stream(page)
    live = page.locator("#live-result .fer-live")
    expect(live).to_be_visible()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(posted) < 5 and time.monotonic() < deadline:
        page.wait_for_timeout(400)
        answers.append(len(live.evaluate("live => live.outerHTML")))
    page.get_by_role("button", name="Stop", exact=True).click()
    assert len(posted) >= 5 and max(posted) <= FRAME_BYTES, posted
    assert max(answers) <= ANSWER_BYTES, answers
    assert page.locator("#live-result img").count() == 0
    print(f"posted {sorted(posted)[len(posted) // 2]} bytes a frame, answered {max(answers)}")
